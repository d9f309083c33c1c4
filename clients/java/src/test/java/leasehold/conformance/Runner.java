package leasehold.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.ToNumberPolicy;
import io.grpc.TlsChannelCredentials;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import leasehold.Attempt;
import leasehold.Lease;
import leasehold.LeaseholdClient;
import leasehold.LeaseholdException;
import leasehold.LockOptions;
import leasehold.OperationSpec;
import leasehold.Worker;

/**
 * The runner of the conformance script in Java: it turns verbs into calls of the client, and nothing else.
 * clients/conformance/README.md says what the verbs mean.
 */
public final class Runner {
  private static final Gson GSON =
      new GsonBuilder().serializeNulls().setObjectToNumberStrategy(ToNumberPolicy.LONG_OR_DOUBLE).create();

  private final Map<String, LeaseholdClient> clients = new ConcurrentHashMap<>();
  private final Map<String, List<Lease>> leases = new ConcurrentHashMap<>();
  private final Map<String, Planned> works = new ConcurrentHashMap<>();
  private final Map<String, Worker> workers = new ConcurrentHashMap<>();
  private final Map<String, Verb> verbs = new HashMap<>();

  private interface Verb {
    Map<String, ?> act(Args args) throws Exception;
  }

  /** The arguments of a command. */
  private record Args(Map<String, Object> values) {
    String text(String name) {
      return values.get(name) instanceof String text ? text : "";
    }

    boolean has(String name) {
      return values.get(name) != null;
    }

    int whole(String name) {
      return values.get(name) instanceof Number number ? number.intValue() : 0;
    }

    Duration span(String name) {
      double seconds = values.get(name) instanceof Number number ? number.doubleValue() : 0;
      return Duration.ofNanos(Math.round(seconds * 1e9));
    }

    List<String> texts(String name) {
      return ((List<?>) values.get(name)).stream().map(String::valueOf).toList();
    }

    Args inner(String name) {
      Map<String, Object> inner = new HashMap<>();
      if (values.get(name) instanceof Map<?, ?> map) {
        map.forEach((key, value) -> inner.put(String.valueOf(key), value));
      }
      return new Args(inner);
    }
  }

  /** What the function of a run or worker does. */
  private static final class Planned {
    private final Args plan;
    private final CountDownLatch mayGo = new CountDownLatch(1);
    private volatile Attempt attempt;

    Planned(Args plan) {
      this.plan = plan;
    }

    Object run(Attempt given) throws Exception {
      attempt = given;
      while (plan.has("hold") && !mayGo.await(20, TimeUnit.MILLISECONDS)) {
        if (!plan.has("stubborn")) {
          given.check();
        }
      }
      if (plan.has("error")) {
        throw new IllegalStateException(plan.text("error"));
      }
      return plan.values().get("result");
    }

    Attempt begun() throws InterruptedException {
      for (int i = 0; i < 500 && attempt == null; i++) {
        Thread.sleep(10);
      }
      if (attempt == null) {
        throw new IllegalStateException("the work did not begin within 5 s");
      }
      return attempt;
    }
  }

  private Runner() {
    verbs.put("verbs", args -> Map.of("verbs", verbs.keySet()));
    verbs.put("connect", this::connect);
    verbs.put("lock", this::lock);
    verbs.put("lock_many", args -> {
      leases.put(args.text("as"), client(args).lockMany(args.texts("resources"), options(args)));
      return Map.of();
    });
    verbs.put("lease", this::lease);
    verbs.put("loss", args -> {
      long asked = System.nanoTime();
      String lost = leases.get(args.text("lease")).get(0).onLost().toCompletableFuture().get();
      return Map.of("lost", lost, "after", (System.nanoTime() - asked) / 1e9);
    });
    verbs.put("check", args -> {
      leases.get(args.text("lease")).get(0).checkHeld();
      return Map.of();
    });
    verbs.put("release", args -> {
      boolean all = true;
      for (Lease lease : leases.get(args.text("lease"))) {
        all &= lease.release();
      }
      return Map.of("released", all);
    });
    verbs.put("run", this::run);
    verbs.put("attempt", this::attempt);
    verbs.put("progress", args -> {
      works.get(args.text("run")).begun().setProgress(args.values().get("value"));
      return Map.of();
    });
    verbs.put("go_on", args -> {
      works.get(args.text("run")).mayGo.countDown();
      return Map.of();
    });
    verbs.put("worker", args -> {
      Planned planned = new Planned(args.inner("work"));
      works.put(args.text("as"), planned);
      var worker = client(args).operations().worker(args.texts("types"), args.whole("concurrency"), planned::run);
      workers.put(args.text("as"), worker.start());
      return Map.of();
    });
    verbs.put("stop_worker", args -> {
      workers.get(args.text("worker")).stop(args.span("grace"));
      return Map.of();
    });
    verbs.put("begin_operation", args -> {
      client(args).operations().begin(spec(args));
      return Map.of();
    });
    verbs.put("get_operation", this::getOperation);
    verbs.put("cancel_operation", args -> {
      client(args).operations().cancel(args.text("resource"), args.text("operation_id"), args.text("reason"));
      return Map.of();
    });
    verbs.put("close", args -> {
      client(args).close();
      return Map.of();
    });
  }

  private LeaseholdClient client(Args args) {
    return clients.get(args.text("client"));
  }

  private Map<String, ?> connect(Args args) throws Exception {
    var builder = LeaseholdClient.builder(args.texts("addresses").toArray(String[]::new));
    if (args.has("token")) {
      builder.token(args.text("token"));
    }
    if (args.has("streams_per_connection")) {
      builder.streamsPerConnection(args.whole("streams_per_connection"));
    }
    if (args.has("ca")) {
      builder.credentials(TlsChannelCredentials.newBuilder().trustManager(new File(args.text("ca"))).build());
    }
    clients.put(args.text("as"), builder.build());
    return Map.of();
  }

  private static LockOptions options(Args args) {
    LockOptions options =
        LockOptions.DEFAULT.withWait(args.span("wait")).withOwner(args.text("owner"));
    if (args.has("ttl")) {
      options = options.withTtl(args.span("ttl"));
    }
    if (args.has("timeout")) {
      options = options.withTimeout(args.span("timeout"));
    }
    if (args.has("shared")) {
      options = options.asShared();
    }
    if (args.has("permits")) {
      options = options.withPermits(args.whole("permits"), args.whole("limit"));
    }
    return args.has("lease_id") ? options.withLeaseId(args.text("lease_id")) : options;
  }

  private Map<String, ?> lock(Args args) throws Exception {
    Lease lease = client(args).lock(args.text("resource"), options(args));
    leases.put(args.text("as"), List.of(lease));
    return Map.of(
        "fencing_token", lease.fencingToken(),
        "lease_id", lease.leaseId(),
        "remaining", seconds(lease.remaining()));
  }

  private static double seconds(Duration duration) {
    return duration.toNanos() / 1e9;
  }

  private Map<String, ?> lease(Args args) {
    Map<String, Object> state = new HashMap<>();
    List<Lease> several = leases.get(args.text("lease"));
    state.put("held", several.stream().allMatch(Lease::isHeld));
    state.put("remaining", several.stream().mapToDouble(lease -> seconds(lease.remaining())).min().orElse(0));
    state.put("lost", several.stream().map(Lease::lostReason).filter(why -> why != null).findAny().orElse(null));
    return state;
  }

  private static OperationSpec spec(Args args) {
    OperationSpec spec =
        OperationSpec.of(args.text("resource"), args.text("operation_id"), args.text("type"))
            .withData(args.values().get("data"));
    if (args.has("heartbeat")) {
      spec = spec.withHeartbeat(args.span("heartbeat"));
    }
    if (args.has("lock_ttl")) {
      spec = spec.withLock(args.span("lock_ttl"));
    }
    return args.has("wait") ? spec.withWait(args.span("wait")) : spec;
  }

  private Map<String, ?> run(Args args) throws Exception {
    Planned planned = new Planned(args.inner("work"));
    works.put(args.text("as"), planned);
    Map<String, Object> answer = new HashMap<>();
    answer.put("result", client(args).operations().run(spec(args), planned::run));
    answer.put("ran", planned.attempt != null);
    answer.put("attempt", planned.attempt == null ? 0 : planned.attempt.number());
    return answer;
  }

  private Map<String, ?> attempt(Args args) throws Exception {
    Attempt attempt = works.get(args.text("run")).begun();
    Map<String, Object> answer = new HashMap<>();
    answer.put("number", attempt.number());
    answer.put("fencing_token", attempt.fencingToken());
    answer.put("cancel_requested", attempt.isCancelRequested());
    answer.put("held", attempt.isHeld());
    answer.put("data", attempt.data());
    return answer;
  }

  private Map<String, ?> getOperation(Args args) throws Exception {
    var record = client(args).operations().get(args.text("resource"), args.text("operation_id"));
    Map<String, Object> answer = new HashMap<>();
    answer.put("state", record.state());
    answer.put("result", record.result());
    answer.put("progress", record.progress());
    answer.put("attempt", record.attempt());
    return answer;
  }

  private static Map<String, ?> told(Throwable error) {
    if (error instanceof LeaseholdException ours) {
      return Map.of(
          "code", ours.code().name(),
          "reason", ours.reason(),
          "message", String.valueOf(ours.getMessage()),
          "holders", ours.holders(),
          "fields", ours.fields());
    }
    return Map.of("code", "UNKNOWN", "message", String.valueOf(error));
  }

  private void answer(String line) {
    Args command = new Args(GSON.fromJson(line, Map.class));
    Map<String, Object> said = new HashMap<>();
    said.put("id", command.whole("id"));
    try {
      said.put("ok", verbs.get(command.text("verb")).act(command.inner("args")));
    } catch (Throwable error) {
      said.put("error", told(error));
    }
    synchronized (System.out) {
      System.out.println(GSON.toJson(said));
    }
  }

  /** Answers commands until the input ends. */
  public static void main(String[] args) throws Exception {
    Runner runner = new Runner();
    var input = new BufferedReader(new InputStreamReader(System.in));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String command = line;
      Thread thread = new Thread(() -> runner.answer(command));
      thread.setDaemon(true);
      thread.start();
    }
    runner.clients.values().forEach(LeaseholdClient::close);
  }
}
