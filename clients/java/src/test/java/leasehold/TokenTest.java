package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which tokens the client takes, and that no error and no log shows any part of one. */
class TokenTest {
  private static final String SECRET = "a-secret-token-of-some-length";

  private final StringBuffer logged = new StringBuffer();
  private final Handler log =
      new Handler() {
        @Override
        public void publish(LogRecord entry) {
          logged.append(new SimpleFormatter().format(entry));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @BeforeEach
  void listen() {
    Logger.getLogger("").addHandler(log);
  }

  @AfterEach
  void stopListening() {
    Logger.getLogger("").removeHandler(log);
  }

  private static String told(Throwable error) {
    StringWriter text = new StringWriter();
    error.printStackTrace(new PrintWriter(text));
    return text.toString();
  }

  @ParameterizedTest
  @ValueSource(strings = {SECRET + "\n", SECRET + "\r\n", "  " + SECRET + "\t"})
  void whiteSpaceAroundATokenIsLeftOut(String token) throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).token(token).build()) {
      server.answer(Status.FAILED_PRECONDITION);
      var error = assertThrows(LeaseholdException.class, () -> client.operations().cancel("r", "1", ""));
      assertEquals(Status.Code.FAILED_PRECONDITION, error.code());
      assertEquals("Bearer " + SECRET, server.authorization());
      assertFalse(told(error).contains("secret"), told(error));
    }
    assertFalse(logged.toString().contains("secret"), logged.toString());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {SECRET + "\n" + SECRET, "Bearer " + SECRET, SECRET + "\0", SECRET + "é", "\u00e9" + SECRET, "", " \n"})
  void aTokenThatNoHeaderCanCarryIsRefusedWhenTheClientIsMadeAndNotShown(String token) {
    var error =
        assertThrows(
            IllegalArgumentException.class, () -> LeaseholdClient.builder("127.0.0.1:1").token(token).build());
    assertTrue(error.getMessage().startsWith("token must be"), error.getMessage());
    assertFalse(told(error).contains("secret"), told(error));
    assertFalse(logged.toString().contains("secret"), logged.toString());
  }

  @Test
  void nullIsNoToken() throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).token(null).build()) {
      server.answer(Status.FAILED_PRECONDITION);
      assertThrows(LeaseholdException.class, () -> client.operations().cancel("r", "1", ""));
      assertEquals(null, server.authorization());
    }
  }
}
