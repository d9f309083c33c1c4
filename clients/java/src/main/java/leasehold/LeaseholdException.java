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
import java.util.List;
import leasehold.v1.Contention;

/**
 * An error status, typed by the reason that the server gives; docs/errors.md of the project has all of them. Decide by
 * the class or by {@link #reason()}, never by the message. Whatever isn't granted is an error.
 */
public class LeaseholdException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final Metadata.Key<com.google.rpc.Status> DETAILS =
      Metadata.Key.of(
          "grpc-status-details-bin",
          ProtoUtils.metadataMarshaller(com.google.rpc.Status.getDefaultInstance()));

  private final Status.Code code;
  private final String reason;
  private final String why;
  private final Duration retryAfter;
  private final List<String> holders;
  private final List<String> fields;

  LeaseholdException(Said said) {
    super(said.message);
    code = said.code;
    reason = said.reason;
    why = said.why;
    retryAfter = said.retryAfter;
    holders = List.copyOf(said.holders);
    fields = List.copyOf(said.fields);
  }

  /** The gRPC code. */
  public Status.Code code() {
    return code;
  }

  /** Of google.rpc.ErrorInfo, such as {@code LOCK_CONTENDED}; empty where no server of ours has answered. */
  public String reason() {
    return reason;
  }

  /** Of a loss: a LostReason such as FORCE_RELEASED, or DEADLINE: it passed here, whatever servers know. Else empty. */
  public String why() {
    return why;
  }

  /** How long the server asks to wait; zero if it doesn't say. */
  public Duration retryAfter() {
    return retryAfter;
  }

  /** The owners of the leases that stood in the way. */
  public List<String> holders() {
    return holders;
  }

  /** The fields that are wrong. */
  public List<String> fields() {
    return fields;
  }

  /** Whether the same call may succeed a little later, or elsewhere: nothing is wrong with the request. */
  boolean passes() {
    return code == Status.Code.UNAVAILABLE || code == Status.Code.DEADLINE_EXCEEDED;
  }

  /** Someone else has it, and the wait, if any, is over. */
  public static final class Contended extends LeaseholdException {
    private static final long serialVersionUID = 1;

    Contended(Said said) {
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

  /** Someone else runs the operation. */
  public static final class AttemptHeld extends LeaseholdException {
    private static final long serialVersionUID = 1;

    AttemptHeld(Said said) {
      super(said);
    }
  }

  /** The attempt is over, perhaps another worker's by now: stop, and write nothing more. */
  public static final class AttemptLost extends LeaseholdException {
    private static final long serialVersionUID = 1;

    AttemptLost(Said said) {
      super(said);
    }
  }

  /** The operation ended with an error, or was given up by the server. */
  public static final class OperationFailed extends LeaseholdException {
    private static final long serialVersionUID = 1;

    OperationFailed(Said said) {
      super(said);
    }
  }

  /** The operation was cancelled. Thrown in a worker by {@link Attempt#check()}; let it pass, and that is recorded. */
  public static final class OperationCancelled extends LeaseholdException {
    private static final long serialVersionUID = 1;

    OperationCancelled(Said said) {
      super(said);
    }
  }

  /** What there is to say, before it is known of which class it is. */
  static final class Said {
    Status.Code code = Status.Code.UNKNOWN;
    String reason = "";
    String message = "";
    String why = "";
    Duration retryAfter = Duration.ZERO;
    final List<String> holders = new ArrayList<>();
    final List<String> fields = new ArrayList<>();

    LeaseholdException typed() {
      return switch (reason) {
        case "LOCK_CONTENDED" -> new Contended(this);
        case "LEASE_LOST" -> new LeaseLost(this);
        case "ATTEMPT_HELD" -> new AttemptHeld(this);
        case "STALE_ATTEMPT" -> new AttemptLost(this);
        case "OPERATION_FAILED" -> new OperationFailed(this);
        case "OPERATION_CANCELLED" -> new OperationCancelled(this);
        default -> new LeaseholdException(this);
      };
    }
  }

  /** For what ends here, before any server says so. */
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
    return local(Status.Code.CANCELLED, "", "the client is closed", "");
  }

  static LeaseholdException leaseLost(String why) {
    return local(Status.Code.ABORTED, "LEASE_LOST", "the lease is over: " + why, why);
  }

  static LeaseholdException attemptLost(String why) {
    return local(Status.Code.FAILED_PRECONDITION, "STALE_ATTEMPT", "the attempt is over: " + why, why);
  }

  static LeaseholdException operationCancelled(String message) {
    String text = message.isEmpty() ? "the operation was cancelled" : message;
    return local(Status.Code.CANCELLED, "OPERATION_CANCELLED", text, "");
  }

  /** What the server said, with its details. */
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
    // Of ours each has a reason: this one is the library's, which found that something else answers there.
    if (said.code == Status.Code.INTERNAL && said.reason.isEmpty()) {
      said.code = Status.Code.UNAVAILABLE;
    }
    if (said.code == Status.Code.UNAVAILABLE && said.reason.isEmpty()) {
      String cause = status.getCause() == null ? "" : " (" + status.getCause().getMessage() + ")";
      said.message =
          "no answer from " + address + ": " + said.message + cause + ". Check that a server runs there, and that both"
              + " sides use TLS (with an authority that the client trusts) or neither does";
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
        detail.unpack(BadRequest.class).getFieldViolationsList().forEach(wrong -> said.fields.add(wrong.getField()));
      } else if (detail.is(Contention.class)) {
        detail.unpack(Contention.class).getHoldersList().forEach(holder -> said.holders.add(holder.getOwner()));
      }
    } catch (InvalidProtocolBufferException e) {
      // Whoever wrote it, it is no detail of ours: the code has to do.
    }
  }
}
