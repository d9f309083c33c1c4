package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a proxy answers for a server, and what a library calls the end of a connection or stream. */
@Timeout(30)
class StatusesTest {
  private static final Status[] OF_PROXIES = {
    Status.INTERNAL, Status.CANCELLED, Status.UNKNOWN, Status.DEADLINE_EXCEEDED, Status.UNAVAILABLE
  };
  private static final LockOptions PATIENT = LockOptions.DEFAULT.withWait(Duration.ofSeconds(15));

  @Test
  void aLockWaitsOnAfterAnyEndOfItsStreamOnTheWay() throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).build()) {
      server.answer(OF_PROXIES);
      Lease lease = client.lock("r", PATIENT);
      // With another lease id, a call would lose its place in the queue.
      List<String> ids = server.holds().stream().map(hold -> hold.getSpec().getLeaseId()).toList();
      assertEquals(java.util.Collections.nCopies(OF_PROXIES.length + 1, lease.leaseId()), ids);
    }
  }

  @Test
  void aCallIsRepeatedAfterAnyEndOnTheWay() throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).build()) {
      server.answer(OF_PROXIES);
      client.operations().cancel("r", "1", "");
      assertEquals(0, server.unused());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Status.Code.class,
      names = {"INTERNAL", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE"})
  void anEndOnTheWayThatNeverStopsIsToldAsNoAnswer(Status.Code code) throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).build()) {
      server.answer(code.toStatus());
      var brief = LockOptions.DEFAULT.withWait(Duration.ofNanos(1));
      var error = assertThrows(LeaseholdException.class, () -> client.lock("r", brief));
      assertEquals(Status.Code.UNAVAILABLE, error.code());
      assertEquals("", error.reason());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Status.Code.class,
      names = {"RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "PERMISSION_DENIED"})
  void aStatusThatRepeatingDoesNotChangeIsToldAtOnce(Status.Code code) throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).build()) {
      server.answer(code.toStatus());
      var error = assertThrows(LeaseholdException.class, () -> client.lock("r", PATIENT));
      assertEquals(code, error.code());
      assertEquals(1, server.holds().size());
    }
  }
}
