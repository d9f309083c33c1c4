package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every Java program of the README runs as it stands and ends, in a process of its own, against the server of the
 * tests.
 */
class ReadmeTest {
  private static final Pattern PROGRAM = Pattern.compile("^```java\n(.*?)^```", Pattern.MULTILINE | Pattern.DOTALL);

  /** A program that doesn't close its client; the README says that it ends all the same. */
  private static final String UNCLOSED =
      """
      public class Unclosed {
        public static void main(String[] args) throws Exception {
          var client = leasehold.LeaseholdClient.builder("127.0.0.1:50051").build();
          System.out.println(client.lock("unclosed").isHeld());
        }
      }
      """;

  @Test
  void everyProgramOfTheReadmeRunsAndEnds(@TempDir Path folder) throws Exception {
    String server = TestServer.address();
    List<String> programs =
        PROGRAM.matcher(Files.readString(Path.of("README.md"))).results().map((MatchResult r) -> r.group(1)).toList();
    assertEquals(2, programs.size());
    for (String program : Stream.concat(programs.stream(), Stream.of(UNCLOSED)).toList()) {
      Path file = folder.resolve("Program.java");
      Files.writeString(file, program.replace("127.0.0.1:50051", server));
      Path output = folder.resolve("output");
      Process process =
          new ProcessBuilder("java", "-cp", System.getProperty("java.class.path"), file.toString())
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "the program does not end");
      assertEquals(0, process.exitValue(), Files.readString(output));
      assertTrue(Files.size(output) > 0);
    }
  }
}
