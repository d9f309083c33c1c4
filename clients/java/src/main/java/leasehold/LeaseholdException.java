package leasehold;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import leasehold.v1.Contention;

/**
 * The error of a call, typed by the reason that the server gives; docs/errors.md of the project lists the reasons.
 * Decide by the class or by {@link #reason()}, never by the message. Every call that doesn't get what it asks for
 * throws one.
 */
public class LeaseholdException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final Metadata.Key<com.google.rpc.Status> DETAILS =
      Metadata.Key.of(
          "grpc-status-details-bin",
          ProtoUtils.metadataMarshaller(com.google.rpc.Status.getDefaultInstance()));

  /**
   * The statuses that pass where no ErrorInfo comes with them. Leasehold gives a reason with every error, so that such a
   * status is the word of a proxy, or how the gRPC library calls what happened to the connection. docs/clients.md of the
   * project has the list, and each client has it.
   */
  private static final Set<Status.Code> PASSING_WITHOUT_REASON =
      EnumSet.of(
          // No connection; one that broke; HTTP 429, 502, 503 and 504; a stream that was refused.
          Status.Code.UNAVAILABLE,
          // A stream that was reset with CANCEL: a server that was killed, in some libraries.
          Status.Code.CANCELLED,
          // A connection that broke, in other libraries; another status of HTTP.
          Status.Code.UNKNOWN,
          // The time-out of a proxy, or that of one try of this client.
          Status.Code.DEADLINE_EXCEEDED,
          // A stream that was reset with another code, by the time-out of a route in a proxy for example.
          Status.Code.INTERNAL);

  private final Status.Code code;
  private final String reason;
  private final String why;
  private final Duration retryAfter;
  private final List<String> holders;
  private final List<String> options;
  private final List<String> fields;

  LeaseholdException(Said said) {
    super(said.message);
    code = said.code;
    reason = said.reason;
    why = said.why;
    retryAfter = said.retryAfter;
    holders = List.copyOf(said.holders);
    options = List.copyOf(said.options);
    fields = List.copyOf(said.fields);
  }

  /** Returns the gRPC code; UNAVAILABLE for all that means no more than that no answer came. */
  public Status.Code code() {
    return code;
  }

  /**
   * Returns the reason of google.rpc.ErrorInfo, such as {@code LOCK_CONTENDED}; empty where no Leasehold server
   * answered.
   */
  public String reason() {
    return reason;
  }

  /**
   * Returns more about a loss: a LostReason such as FORCE_RELEASED; or DEADLINE, when the deadline passed here,
   * which servers may not know. Empty for other errors.
   */
  public String why() {
    return why;
  }

  /** Returns how long the server asks to wait before the next try; zero if it doesn't say. */
  public Duration retryAfter() {
    return retryAfter;
  }

  /** Returns the owners of the leases that stand in the way (LOCK_CONTENDED); at most 4. */
  public List<String> holders() {
    return holders;
  }

  /** Returns what is wrong as the user wrote it (INVALID_ARGUMENT), such as {@code withTtl}. */
  public List<String> options() {
    return options;
  }

  /** Returns the same as fields of the contract, such as {@code spec.ttl}, where a server refused it. */
  public List<String> fields() {
    return fields;
  }

  /** Returns whether the same call may succeed a little later or at another server: the request is right. */
  boolean passes() {
    return code == Status.Code.UNAVAILABLE || code == Status.Code.DEADLINE_EXCEEDED;
  }

  /** Someone else holds the resource, or waits for it in front of this caller; and the wait, if any, is over. */
  public static final class Contended extends LeaseholdException {
    private static final long serialVersionUID = 1;

    Contended(Said said) {
      super(said);
    }
  }

  /** An option means nothing, or the server refuses it; {@link #options()} names it. */
  public static final class InvalidArgument extends LeaseholdException {
    private static final long serialVersionUID = 1;

    InvalidArgument(Said said) {
      super(said);
    }
  }

  /** The lease is over: stop what it protects. */
  public static final class LeaseLost extends LeaseholdException {
    private static final long serialVersionUID = 1;

    LeaseLost(Said said) {
      super(said);
    }
  }

  /** Another worker runs the operation. */
  public static final class AttemptHeld extends LeaseholdException {
    private static final long serialVersionUID = 1;

    AttemptHeld(Said said) {
      super(said);
    }
  }

  /** The attempt is over, and another worker may have the operation by now: stop, and write nothing more. */
  public static final class AttemptLost extends LeaseholdException {
    private static final long serialVersionUID = 1;

    AttemptLost(Said said) {
      super(said);
    }
  }

  /** The operation ended with an error, or the server gave it up. */
  public static final class OperationFailed extends LeaseholdException {
    private static final long serialVersionUID = 1;

    OperationFailed(Said said) {
      super(said);
    }
  }

  /** The operation was cancelled. {@link Attempt#check()} throws it; let it pass, and the client records that. */
  public static final class OperationCancelled extends LeaseholdException {
    private static final long serialVersionUID = 1;

    OperationCancelled(Said said) {
      super(said);
    }
  }

  /** The facts of an error, before its class is known. */
  static final class Said {
    Status.Code code = Status.Code.UNKNOWN;
    String reason = "";
    String message = "";
    String why = "";
    Duration retryAfter = Duration.ZERO;
    final List<String> holders = new ArrayList<>();
    final List<String> options = new ArrayList<>();
    final List<String> fields = new ArrayList<>();

    LeaseholdException typed() {
      return switch (reason) {
        case "LOCK_CONTENDED" -> new Contended(this);
        case "INVALID_ARGUMENT" -> new InvalidArgument(this);
        case "LEASE_LOST" -> new LeaseLost(this);
        case "ATTEMPT_HELD" -> new AttemptHeld(this);
        case "STALE_ATTEMPT" -> new AttemptLost(this);
        case "OPERATION_FAILED" -> new OperationFailed(this);
        case "OPERATION_CANCELLED" -> new OperationCancelled(this);
        default -> new LeaseholdException(this);
      };
    }
  }

  /** Makes an error for what this client finds out by itself, without the word of a server. */
  static LeaseholdException local(Status.Code code, String reason, String message, String why) {
    Said said = new Said();
    said.code = code;
    said.reason = reason;
    said.message = message;
    said.why = why;
    return said.typed();
  }

  static LeaseholdException unavailable(String message) {
    return local(Status.Code.UNAVAILABLE, "", message, "");
  }

  static LeaseholdException closed() {
    String message = "the client is closed: make calls before close(), or make a new client";
    return local(Status.Code.CANCELLED, "", message, "");
  }

  /**
   * Makes the error of a stream that a server left without a first answer for a time.
   *
   * @param open how many calls were open on its connection
   */
  static LeaseholdException noFirstAnswer(String address, long withinNanos, int open) {
    long millis = TimeUnit.NANOSECONDS.toMillis(withinNanos);
    return unavailable(
        address + " did not answer within " + millis + " ms, with " + open + " open on this connection: check that a"
            + " Leasehold server runs there, and that all between allow as many streams on a connection as"
            + " streamsPerConnection says");
  }

  static LeaseholdException leaseLost(String resource, String why) {
    String message =
        "the lease on " + resource + " is over (" + why + "): stop what it protects, and acquire it again";
    return local(Status.Code.ABORTED, "LEASE_LOST", message, why);
  }

  static LeaseholdException attemptLost(String resource, String operationId, String why) {
    String message =
        "the attempt at the operation " + operationId + " on " + resource + " is over (" + why
            + "): stop the work, and write nothing more";
    return local(Status.Code.FAILED_PRECONDITION, "STALE_ATTEMPT", message, why);
  }

  /** Makes the error of a cancelled operation; {@code said} may be empty. */
  static LeaseholdException operationCancelled(String resource, String operationId, String said) {
    String message = said.isEmpty() ? "the operation " + operationId + " on " + resource + " was cancelled" : said;
    return local(Status.Code.CANCELLED, "OPERATION_CANCELLED", message, "");
  }

  /** Makes the error of what a server said, with its details. */
  static LeaseholdException of(Throwable thrown, String address) {
    Status status = Status.fromThrowable(thrown);
    Metadata trailers = Status.trailersFromThrowable(thrown);
    Said said = new Said();
    said.code = status.getCode();
    said.message = status.getDescription() == null ? status.getCode().name() : status.getDescription();
    com.google.rpc.Status details = trailers == null ? null : trailers.get(DETAILS);
    if (details != null) {
      for (Any detail : details.getDetailsList()) {
        read(detail, said);
      }
    }
    if (PASSING_WITHOUT_REASON.contains(said.code) && said.reason.isEmpty()) {
      said.code = Status.Code.UNAVAILABLE;
      String cause = status.getCause() == null ? "" : " (" + status.getCause().getMessage() + ")";
      said.message =
          "no answer from " + address + ": " + status.getCode() + ": " + said.message + cause + ". Check that a server runs"
              + " there, and that both sides use TLS (with an authority that the client trusts) or neither does";
    }
    return said.typed();
  }

  private static void read(Any detail, Said said) {
    try {
      if (detail.is(ErrorInfo.class)) {
        said.reason = detail.unpack(ErrorInfo.class).getReason();
      } else if (detail.is(RetryInfo.class)) {
        var delay = detail.unpack(RetryInfo.class).getRetryDelay();
        said.retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
      } else if (detail.is(BadRequest.class)) {
        List<String> told = new ArrayList<>();
        for (BadRequest.FieldViolation wrong : detail.unpack(BadRequest.class).getFieldViolationsList()) {
          String option = OptionNames.of(wrong.getField());
          said.fields.add(wrong.getField());
          said.options.add(option);
          told.add(option + ": " + wrong.getDescription());
        }
        if (!told.isEmpty()) {
          said.message = String.join("; ", told);
        }
      } else if (detail.is(Contention.class)) {
        detail.unpack(Contention.class).getHoldersList().forEach(holder -> said.holders.add(holder.getOwner()));
      }
    } catch (InvalidProtocolBufferException e) {
      // It isn't the detail that it says it is, so no Leasehold server wrote it: the code has to do.
    }
  }
}
