package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the conformance script can't see from outside: the user's own exceptions, and interruption. */
@Timeout(30)
class LeaseholdClientTest {
  private final String resource = UUID.randomUUID().toString();
  private LeaseholdClient client;

  @BeforeEach
  void connect() {
    client = LeaseholdClient.builder(TestServer.address()).build();
  }

  @AfterEach
  void close() {
    if (client != null) {
      client.close();
    }
  }

  /** Releases the lease as anyone can who knows its id. */
  private void lose(Lease lease) throws Exception {
    assertTrue(client.lock(lease.resource(), LockOptions.DEFAULT.withLeaseId(lease.leaseId())).release());
    lease.onLost().toCompletableFuture().get(5, TimeUnit.SECONDS);
  }

  @Test
  void aLossDoesNotHideTheExceptionOfTheBlock() {
    var error =
        assertThrows(
            ArithmeticException.class,
            () -> {
              try (Lease lease = client.lock(resource)) {
                lose(lease);
                throw new ArithmeticException("own");
              }
            });
    assertInstanceOf(LeaseholdException.LeaseLost.class, error.getSuppressed()[0]);
  }

  @Test
  void aFailingReleaseDoesNotFailTheBlock() throws Exception {
    try (Lease lease = client.lock(resource)) {
      assertTrue(lease.isHeld());
      client.close(); // so that the release fails
    }
  }

  @Test
  void leavingTheBlockOfALostLeaseThrowsLeaseLost() {
    assertThrows(
        LeaseholdException.LeaseLost.class,
        () -> {
          try (Lease lease = client.lock(resource)) {
            lose(lease);
          }
        });
  }

  @Test
  void theEndOfTheBlockReleasesTheLease() throws Exception {
    long token;
    try (Lease lease = client.lock(resource)) {
      token = lease.fencingToken();
      assertNull(client.tryLock(resource, LockOptions.DEFAULT));
    }
    try (Lease lease = client.lock(resource)) {
      assertTrue(lease.fencingToken() > token);
    }
  }

  @Test
  void anInterruptedLockLeavesTheQueue() throws Exception {
    Lease first = client.lock(resource);
    CountDownLatch queued = new CountDownLatch(1);
    LockOptions patient =
        LockOptions.DEFAULT
            .withWait(LockOptions.FOREVER)
            .withObserver(
                event -> {
                  if (event.kind() == LeaseEvent.Kind.QUEUED) {
                    queued.countDown();
                  }
                });
    CompletableFuture<Throwable> ended = new CompletableFuture<>();
    Thread waiting =
        new Thread(
            () -> {
              try {
                client.lock(resource, patient);
                ended.complete(null);
              } catch (Throwable error) {
                ended.complete(error);
              }
            });
    waiting.start();
    assertTrue(queued.await(5, TimeUnit.SECONDS));
    waiting.interrupt();
    assertInstanceOf(InterruptedException.class, ended.get(5, TimeUnit.SECONDS));
    first.release();
    // Had it stayed in the queue, it would have been granted now.
    assertNotNull(client.tryLock(resource, LockOptions.DEFAULT));
  }

  @Test
  void runThrowsTheExceptionOfTheWorkAndARepeatIsToldOfIt() {
    OperationSpec spec = OperationSpec.of(resource, "1", "test");
    assertThrows(
        ArithmeticException.class,
        () ->
            client
                .operations()
                .run(
                    spec,
                    attempt -> {
                      throw new ArithmeticException("no paper");
                    }));
    var error =
        assertThrows(
            LeaseholdException.OperationFailed.class, () -> client.operations().run(spec, attempt -> 1));
    assertEquals("ArithmeticException: no paper", error.getMessage());
  }

  @Test
  void aLeaseSurvivesAnObserverThatThrows() throws Exception {
    CountDownLatch events = new CountDownLatch(4);
    LockOptions observed =
        LockOptions.DEFAULT
            .withTtl(Duration.ofSeconds(2))
            .withObserver(
                event -> {
                  events.countDown();
                  throw new IllegalStateException(event.toString());
                });
    try (Lease lease = client.lock(resource, observed)) {
      assertTrue(events.await(10, TimeUnit.SECONDS));
      assertTrue(lease.isHeld());
    }
  }

  @Test
  void aResultThatCannotBeStoredFailsTheOperation() throws Exception {
    OperationSpec spec = OperationSpec.of(resource, "1", "test");
    assertThrows(IllegalArgumentException.class, () -> client.operations().run(spec, attempt -> new Object()));
    assertEquals("FAILED", client.operations().get(resource, "1").state());
  }

  @ParameterizedTest
  @ValueSource(strings = {"nowhere", "127.0.0.1:", ":50051", ""})
  void theClientRefusesAWrongAddressAtOnce(String wrong) {
    assertThrows(IllegalArgumentException.class, () -> LeaseholdClient.builder(wrong).build());
  }

  @Test
  void aLeaseTellsHowMuchTimeIsLeft() throws Exception {
    try (Lease lease = client.lock(resource, LockOptions.DEFAULT.withTtl(Duration.ofSeconds(5)))) {
      assertTrue(lease.remaining().compareTo(Duration.ofSeconds(3)) > 0);
      assertTrue(lease.remaining().compareTo(Duration.ofSeconds(5)) < 0);
    }
  }
}
