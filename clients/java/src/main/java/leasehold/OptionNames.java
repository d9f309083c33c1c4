package leasehold;

import java.util.Map;
import java.util.regex.Pattern;

/** What the options of this client are called in the contract, the other way round: a server names fields of that. */
final class OptionNames {
  private static final Map<String, String> NAMES =
      Map.ofEntries(
          Map.entry("ttl", "withTtl"),
          Map.entry("min_hold", "withHold(minHold)"),
          Map.entry("max_hold", "withHold(maxHold)"),
          Map.entry("lease_id", "withLeaseId"),
          Map.entry("metadata", "withMetadata"),
          Map.entry("permits.permits", "withPermits(permits)"),
          Map.entry("permits.limit", "withPermits(limit)"),
          Map.entry("wait_timeout", "withWait"),
          Map.entry("operation_id", "operationId"),
          Map.entry("data", "withData"),
          Map.entry("labels", "withLabels"),
          Map.entry("heartbeat_timeout", "withHeartbeat"),
          Map.entry("time_to_live", "withTimeToLive"),
          Map.entry("lock", "withLock"),
          Map.entry("lock.ttl", "withLock"),
          Map.entry("max_attempts", "withMaxAttempts"),
          Map.entry("max_operations", "concurrency"));

  private static final Pattern ONE_OF_MANY = Pattern.compile("^specs\\[(\\d+)]\\.resource$");
  private static final Pattern OF_THE_SPECS = Pattern.compile("^(spec|specs\\[\\d+])\\.");

  private OptionNames() {}

  /**
   * Returns what users of this client call a field of the contract: {@code spec.ttl} is {@code withTtl}. What follows a
   * field, such as the key of an entry of metadata, is kept.
   */
  static String of(String field) {
    if (field.equals("specs")) {
      return "resources";
    }
    var one = ONE_OF_MANY.matcher(field);
    if (one.matches()) {
      return "resources[" + one.group(1) + "]";
    }
    String path = OF_THE_SPECS.matcher(field).replaceFirst("");
    for (int end = path.length();
        end > 0;
        end = Math.max(path.lastIndexOf('.', end - 1), path.lastIndexOf('[', end - 1))) {
      String option = NAMES.get(path.substring(0, end));
      if (option != null) {
        return option + path.substring(end);
      }
    }
    return path;
  }
}
