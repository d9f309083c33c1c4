package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Numbers that users give: one that means nothing is refused by the name of its option, before anything is sent. */
class NumbersTest {
  private static final Duration NEGATIVE = Duration.ofMillis(-1);
  private static final Duration ENDLESS = Duration.ofSeconds(Long.MAX_VALUE);
  private static final OperationSpec SPEC = OperationSpec.of("r", "1", "test");

  private static void refused(String option, Executable call) {
    var error = assertThrows(LeaseholdException.InvalidArgument.class, call, option);
    assertEquals(List.of(option), error.options());
    assertEquals("INVALID_ARGUMENT", error.reason());
    assertTrue(error.getMessage().startsWith(option + " must "), error.getMessage());
  }

  @Test
  void aNegativeSpanIsRefusedByTheNameOfItsOption() {
    Map<String, Function<Duration, Object>> spans =
        Map.of(
            "withTtl", LockOptions.DEFAULT::withTtl,
            "withWait", LockOptions.DEFAULT::withWait,
            "withTimeout", LockOptions.DEFAULT::withTimeout,
            "withHold(minHold)", span -> LockOptions.DEFAULT.withHold(span, null),
            "withHold(maxHold)", span -> LockOptions.DEFAULT.withHold(null, span),
            "withHeartbeat", SPEC::withHeartbeat,
            "withTimeToLive", SPEC::withTimeToLive,
            "withLock", SPEC::withLock);
    spans.forEach((option, set) -> refused(option, () -> set.apply(NEGATIVE)));
    refused("withWait", () -> SPEC.withWait(NEGATIVE));
  }

  @Test
  void aTtlOfZeroIsRefusedAndDoesNotMeanTheDefault() {
    refused("withTtl", () -> LockOptions.DEFAULT.withTtl(Duration.ZERO));
    refused("withLock", () -> SPEC.withLock(Duration.ZERO));
  }

  @Test
  void aSpanThatNoMessageCanHoldIsRefusedAndAWaitOfThatLengthIsForEver() {
    refused("withTtl", () -> LockOptions.DEFAULT.withTtl(ENDLESS));
    refused("withTimeToLive", () -> SPEC.withTimeToLive(ENDLESS));
    assertEquals(LockOptions.FOREVER, LockOptions.DEFAULT.withWait(ENDLESS).waitFor());
    assertEquals(LockOptions.FOREVER, LockOptions.DEFAULT.withTimeout(ENDLESS).timeout());
    assertEquals(LockOptions.FOREVER, SPEC.withWait(ENDLESS).waitFor());
  }

  @Test
  void aCountThatMeansNothingIsRefusedByTheNameOfItsOption() throws Exception {
    refused("withPermits(permits)", () -> LockOptions.DEFAULT.withPermits(0, 0));
    refused("withPermits(limit)", () -> LockOptions.DEFAULT.withPermits(1, 0));
    refused("withMaxAttempts", () -> SPEC.withMaxAttempts(-1));
    try (var client = LeaseholdClient.builder("127.0.0.1:1").build()) {
      refused("concurrency", () -> client.operations().worker(List.of("test"), 0, attempt -> null));
      Worker worker = client.operations().worker(List.of("test"), 1, attempt -> null);
      refused("grace", () -> worker.stop(NEGATIVE));
    }
  }

  @Test
  void nullStandsForTheDefault() {
    LockOptions options = LockOptions.DEFAULT;
    assertEquals(
        options, options.withTtl(null).withWait(null).withTimeout(null).withHold(null, null).withMetadata(null));
    assertEquals(SPEC, SPEC.withHeartbeat(null).withTimeToLive(null).withLock(null).withWait(null).withLabels(null));
  }

  @Test
  void whatAServerRefusesIsToldByTheNameOfTheOption() throws Exception {
    LockOptions wrong = LockOptions.DEFAULT.withTtl(Duration.ofHours(1));
    try (var client = LeaseholdClient.builder(TestServer.address()).build()) {
      String resource = UUID.randomUUID().toString();
      var error = assertThrows(LeaseholdException.InvalidArgument.class, () -> client.lock(resource, wrong));
      assertEquals(List.of("withTtl"), error.options());
      assertEquals(List.of("spec.ttl"), error.fields());
      assertTrue(error.getMessage().startsWith("withTtl: "), error.getMessage());
      assertFalse(error.getMessage().contains("spec."), error.getMessage());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "spec.min_hold,withHold(minHold)",
    "spec.permits.limit,withPermits(limit)",
    "spec.metadata.a.b,withMetadata.a.b",
    "specs[3].resource,resources[3]",
    "specs[0].ttl,withTtl",
    "specs,resources",
    "wait_timeout,withWait",
    "lock.ttl,withLock",
    "labels.ttl,withLabels.ttl",
    "unheard_of,unheard_of"
  })
  void fieldsOfTheContractHaveTheNamesOfTheOptions(String field, String option) {
    assertEquals(option, OptionNames.of(field));
  }
}
