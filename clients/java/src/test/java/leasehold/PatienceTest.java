package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** How long calls take where servers are slow, silent or not there. */
@Timeout(60)
class PatienceTest {
  private static final LockOptions AT_MOST_A_SECOND =
      LockOptions.DEFAULT.withWait(LockOptions.FOREVER).withTimeout(Duration.ofSeconds(1));

  /** Returns how many seconds it took. */
  private static double failing(Class<? extends Throwable> type, Executable call) {
    long start = System.nanoTime();
    assertThrows(type, call);
    return (System.nanoTime() - start) / 1e9;
  }

  @Test
  void aCallSucceedsWhereEachAnswerTakesLongerThanTheFirstTry() throws Exception {
    try (var server = new LeasingServer(100);
        var client = LeaseholdClient.builder(server.address()).build()) {
      server.cancelsAfterMs = 3_500;
      client.operations().cancel("r", "1", "");
    }
  }

  @Test
  void aTryLockAsksASilentServerOnce() throws Exception {
    try (var server = new LeasingServer(100);
        var client = LeaseholdClient.builder(server.address()).build()) {
      double took =
          failing(LeaseholdException.class, () -> client.tryLock("silent", LockOptions.DEFAULT));
      assertEquals(1, server.holds.size());
      assertTrue(took < 9, "it took " + took + " s");
    }
  }

  @Test
  void aTryLockFailsSoonWhereNoServerRuns() throws Exception {
    String nobody;
    try (var proxy = new TcpProxy("127.0.0.1:1")) {
      nobody = proxy.address();
    }
    try (var client = LeaseholdClient.builder(nobody).build()) {
      double took = failing(LeaseholdException.class, () -> client.tryLock("r", LockOptions.DEFAULT));
      assertTrue(took < 8, "it took " + took + " s");
    }
  }

  @Test
  void aTimeoutBoundsACallThatWaits() throws Exception {
    try (var server = new LeasingServer(100);
        var client = LeaseholdClient.builder(server.address()).build()) {
      double took = failing(LeaseholdException.class, () -> client.lock("taken", AT_MOST_A_SECOND));
      assertTrue(took > 0.9 && took < 10, "it took " + took + " s");
      assertEquals(0, server.holds.get(0).getWaitTimeout().getSeconds());
    }
  }

  @Test
  void aServerSaysThatTheLockIsTakenBeforeTheTimeoutIsOver() throws Exception {
    String resource = UUID.randomUUID().toString();
    try (var client = LeaseholdClient.builder(TestServer.address()).build()) {
      client.lock(resource);
      LockOptions options = AT_MOST_A_SECOND.withTimeout(Duration.ofSeconds(4));
      assertTrue(failing(LeaseholdException.Contended.class, () -> client.lock(resource, options)) < 10);
      assertTrue(
          failing(LeaseholdException.Contended.class, () -> client.lockMany(List.of(resource), options)) < 10);
    }
  }

  @Test
  void aStoppedWorkerGivesBackWhatItsLastClaimGot() throws Exception {
    try (var server = new LeasingServer(100);
        var client = LeaseholdClient.builder(server.address()).build()) {
      Worker worker = client.operations().worker(List.of("test"), 1, attempt -> null).start();
      while (server.claims.isEmpty()) {
        Thread.sleep(10);
      }
      worker.stop(Duration.ZERO);
      assertEquals(2, server.claims.size());
      String claimId = server.claims.get(0).getClaimId();
      assertEquals(claimId, server.claims.get(1).getClaimId());
      assertEquals(1, server.yields.size());
      assertEquals(claimId, server.yields.get(0).getClaimId());
      assertEquals(7, server.yields.get(0).getFencingToken());
    }
  }
}
