package leasehold;

import io.grpc.Status;
import java.time.Duration;

/**
 * The check of every number that users give: one that means nothing is refused by the name of its option, before
 * anything is sent. How large a span may be is the server's business; {@link OptionNames} names the option in its
 * refusal.
 */
final class Numbers {
  /** Of google/protobuf/duration.proto: about 10,000 years. */
  private static final Duration MOST = Duration.ofSeconds(315_576_000_000L);

  private Numbers() {}

  /** Checks a span that a server counts; null, the default of the server, stays null. */
  static Duration span(String option, Duration span) {
    if (span != null && (span.isNegative() || span.compareTo(MOST) > 0)) {
      String rule = "must be a duration from 0 to 10,000 years, but it is " + span;
      throw refused(option, rule, "Null stands for the default.");
    }
    return span;
  }

  /** Checks a span whose zero would be no lease at all. */
  static Duration aboveZero(String option, Duration span) {
    if (span != null && span.isZero()) {
      throw refused(option, "must be longer than 0, but it is 0", "Null stands for the default.");
    }
    return span(option, span);
  }

  /** Checks a wait or a time-out, which this client counts; more than {@link LockOptions#FOREVER} means just that. */
  static Duration wait(String option, Duration span) {
    if (span.isNegative()) {
      throw refused(option, "must not be negative, but it is " + span, "Give Duration.ZERO for not at all.");
    }
    return span.compareTo(LockOptions.FOREVER) < 0 ? span : LockOptions.FOREVER;
  }

  static int count(String option, int count, int least) {
    if (count < least) {
      throw refused(option, "must be " + least + " or more, but it is " + count, "Give how many there are.");
    }
    return count;
  }

  private static LeaseholdException refused(String option, String rule, String advice) {
    LeaseholdException.Said said = new LeaseholdException.Said();
    said.code = Status.Code.INVALID_ARGUMENT;
    said.reason = "INVALID_ARGUMENT";
    said.message = option + " " + rule + ". " + advice;
    said.options.add(option);
    return said.typed();
  }
}
