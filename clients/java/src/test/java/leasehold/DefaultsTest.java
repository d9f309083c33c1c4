package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import leasehold.v1.HoldRequest;
import org.junit.jupiter.api.Test;

/** What the client takes for what its user leaves out: the table of docs/clients.md. */
class DefaultsTest {
  @Test
  void aLockWithoutOptionsWaits30SecondsAndNamesItsProcess() throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).build()) {
      client.lock("r");
      HoldRequest request = server.holds().get(0);
      assertTrue(request.hasWaitTimeout());
      assertEquals(30, request.getWaitTimeout().getSeconds() + request.getWaitTimeout().getNanos() / 1e9, 1);
      assertTrue(request.getSpec().getOwner().matches(ProcessHandle.current().pid() + "@.+"));
    }
  }

  @Test
  void aTryLockDoesNotWait() throws Exception {
    try (var server = new FakeServer();
        var client = LeaseholdClient.builder(server.address()).build()) {
      client.tryLock("r", LockOptions.DEFAULT);
      assertEquals(HoldRequest.WaitCase.WAIT_NOT_SET, server.holds().get(0).getWaitCase());
    }
  }
}
