package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Many leases of one client, and many calls that wait: "Keeping many leases" of docs/clients.md. */
@Timeout(90)
class KeepingManyTest {
  private static final int TWENTY_SECONDS = 20;

  /** What happened to the leases, by their resources. */
  private final Set<String> renewed = ConcurrentHashMap.newKeySet();

  private final List<String> lost = new CopyOnWriteArrayList<>();
  private final List<String> reopened = new CopyOnWriteArrayList<>();
  private final Set<String> queued = ConcurrentHashMap.newKeySet();

  private LockOptions observed(String resource) {
    return LockOptions.DEFAULT.withObserver(
        event -> {
          switch (event.kind()) {
            case QUEUED -> queued.add(resource);
            case RENEWED -> renewed.add(resource);
            case LOST -> lost.add(resource + " " + event.detail());
            case REOPENED -> reopened.add(resource + " " + event.detail());
            default -> {}
          }
        });
  }

  private List<Lease> hold(LeaseholdClient client, String prefix, int count) throws Exception {
    List<Lease> leases = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      leases.add(client.lock(prefix + i, observed(prefix + i).withTtl(Duration.ofSeconds(6))));
    }
    return leases;
  }

  /** Has many threads wait for locks that stay taken; {@code resource} tells which. */
  private void queue(LeaseholdClient client, int count, java.util.function.IntFunction<String> resource) {
    for (int i = 0; i < count; i++) {
      String name = "waiter " + i;
      String wanted = resource.apply(i);
      Thread thread =
          new Thread(
              () -> {
                try {
                  client.lock(wanted, observed(name).withWait(LockOptions.FOREVER));
                } catch (InterruptedException | LeaseholdException e) {
                  // The client is closed.
                }
              });
      thread.setDaemon(true);
      thread.start();
    }
    eventually(count + " calls in the queue", () -> queued.size() == count);
  }

  private static void eventually(String what, BooleanSupplier condition) {
    long until = System.nanoTime() + 40_000_000_000L;
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() - until < 0, "not within 40 s: " + what);
      try {
        Thread.sleep(20);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  @Test
  void noLeaseIsLostWhenConnectionsThatAllowFewStreamsBreak() throws Exception {
    try (var server = new LeasingServer(5);
        var proxy = new TcpProxy(server.address());
        var client = LeaseholdClient.builder(proxy.address()).streamsPerConnection(5).build()) {
      List<Lease> leases = hold(client, "held", 12);
      queue(client, 20, i -> "taken" + i);
      assertTrue(proxy.connections() >= 7, "32 streams on " + proxy.connections() + " connections");
      renewed.clear();
      queued.clear();
      proxy.cut();
      eventually("all leases renewed", () -> renewed.size() == leases.size());
      eventually("all waiters in the queue again", () -> queued.size() == 20);
      assertEquals(List.of(), lost);
      for (Lease lease : leases) {
        assertTrue(lease.release());
      }
    }
  }

  @Test
  void noLeaseIsLostWhenTheConnectionsOfManyHoldersAndMoreWaitersBreak() throws Exception {
    try (var proxy = new TcpProxy(TestServer.address());
        var direct = LeaseholdClient.builder(TestServer.address()).build();
        var client = LeaseholdClient.builder(proxy.address()).build()) {
      String prefix = UUID.randomUUID() + "/";
      String taken = prefix + "taken";
      direct.lock(taken);
      queue(client, 150, i -> taken);
      List<Lease> leases = hold(client, prefix, 120);
      renewed.clear();
      queued.clear();
      proxy.cut();
      eventually("all leases renewed", () -> renewed.size() == leases.size());
      eventually("all waiters in the queue again", () -> queued.size() == 150);
      assertEquals(List.of(), lost);
      for (Lease lease : leases) {
        assertTrue(lease.release());
      }
    }
  }

  @Test
  void leasesThatLoseTheirStreamsShareTheNextOnes() throws Exception {
    try (var server = new LeasingServer(1_000);
        var proxy = new TcpProxy(server.address());
        var client = LeaseholdClient.builder(proxy.address()).build()) {
      List<Lease> leases = hold(client, "held", 2_000);
      renewed.clear();
      proxy.cut();
      eventually("all leases renewed", () -> renewed.size() == leases.size());
      assertEquals(List.of(), lost);
      assertTrue(server.keepAlives.size() <= 400, server.keepAlives.size() + " streams for 2,000 leases");
      server.keepAlives.forEach(
          request -> {
            assertTrue(request.getLeasesCount() <= 64, request.getLeasesCount() + " leases on a stream");
            assertEquals(TWENTY_SECONDS, request.getRenewFor().getSeconds());
          });
    }
  }

  @Test
  void aLeaseJoinsOthersAndItsStreamIsOpenedAnewBeforeTheServerStopsTrustingIt() throws Exception {
    try (var server = new LeasingServer(1_000);
        var client = LeaseholdClient.builder(server.address()).build()) {
      hold(client, "held/early", 2);
      Thread.sleep(1_500); // so that the others leave their first streams a little later
      List<Lease> late = hold(client, "held/late", 2);
      server.holds.forEach(hold -> assertEquals(TWENTY_SECONDS, hold.getRenewFor().getSeconds()));
      eventually("a stream opened anew that has taken in the leases of another one",
          () -> server.keepAlives.stream().anyMatch(request -> request.getLeasesCount() == 4));
      eventually("one stream for all leases", () -> server.keeping() == 1);
      assertTrue(server.keepAlives.size() <= 5, server.keepAlives.size() + " streams for 4 leases");
      assertTrue(late.get(0).release());
      assertTrue(late.get(1).isHeld());
      assertEquals(List.of(), lost);
      assertEquals(List.of(), reopened);
      assertEquals(0, server.cancelled.get());
    }
  }

  @Test
  void anAttemptIsKeptByAStreamThatIsOpenedAnew() throws Exception {
    try (var server = new LeasingServer(1_000);
        var client = LeaseholdClient.builder(server.address()).build()) {
      client
          .operations()
          .run(
              OperationSpec.of("r", "1", "test"),
              attempt -> {
                eventually("a second stream", () -> server.operationKeepAlives.size() == 2);
                attempt.check();
                return null;
              });
      server.operationKeepAlives.forEach(
          request -> assertEquals(TWENTY_SECONDS, request.getRenewFor().getSeconds()));
      assertEquals(0, server.cancelled.get());
    }
  }

  @Test
  void whatIsHeldGetsItsStreamsBackBeforeWhatWaits() throws Exception {
    try (var server = new LeasingServer(1_000);
        var client = LeaseholdClient.builder(server.address()).build()) {
      hold(client, "held", 3);
      queue(client, 10, i -> "taken" + i);
      server.holdBack();
      server.breakKept();
      eventually("a stream for the leases", () -> server.keepAlives.size() > 0);
      int before = server.holds.size();
      server.breakQueued();
      Thread.sleep(500); // without the order, all would be back after 100 ms
      assertEquals(before, server.holds.size());
      server.answer();
      eventually("all waiters in the queue again", () -> server.holds.size() == before + 10);
      assertEquals(List.of(), lost);
    }
  }

  @Test
  void aReleaseLetsTheServerEndTheStream() throws Exception {
    try (var server = new LeasingServer(1_000);
        var client = LeaseholdClient.builder(server.address()).build()) {
      server.endsAfterMs = 150;
      assertTrue(client.lock("held").release());
      client.close();
      eventually("no stream left", () -> server.keeping() == 0);
      assertEquals(0, server.cancelled.get());
    }
  }

  @Test
  void theErrorOfAStreamThatNobodyAnswersSaysHowManyWereOpen() throws Exception {
    try (var server = new LeasingServer(1_000);
        var client = LeaseholdClient.builder(server.address()).build()) {
      queue(client, 2, i -> "taken" + i);
      var error =
          assertThrows(
              LeaseholdException.class,
              () -> client.tryLock("silent", LockOptions.DEFAULT.withTimeout(Duration.ofSeconds(1))));
      assertTrue(error.getMessage().contains("with 3 open on this connection"), error.getMessage());
      assertTrue(error.getMessage().contains("streamsPerConnection"), error.getMessage());
    }
  }

  @Test
  void aLeaseThatAServerRefusesDoesNotCostTheOthersOfItsStream() throws Exception {
    try (var server = new LeasingServer(1_000);
        var client = LeaseholdClient.builder(server.address()).build()) {
      List<Lease> leases = hold(client, "held", 4);
      server.refused = "held0";
      renewed.clear();
      server.breakKept();
      eventually("the refused lease is lost", () -> !leases.get(0).isHeld());
      assertEquals(Set.of("held1", "held2", "held3"), renewed);
      assertEquals(List.of("held0 DEADLINE"), lost);
    }
  }

  @Test
  void aLeaseThatIsTakenTwiceWithTheSameIdIsKeptByOneStream() throws Exception {
    try (var server = new LeasingServer(1_000);
        var client = LeaseholdClient.builder(server.address()).build()) {
      Lease first = client.lock("held");
      Lease again = client.lock("held", LockOptions.DEFAULT.withLeaseId(first.leaseId()));
      Thread.sleep(5_000);
      assertTrue(first.isHeld() && again.isHeld());
      assertTrue(server.keepAlives.size() <= 10, server.keepAlives.size() + " streams in 5 s");
    }
  }
}
