package leasehold;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.ListValue;
import com.google.protobuf.Message;
import com.google.protobuf.NullValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The payloads of operations, which the server never unpacks. Clients write plain data (null, Boolean, Number, String,
 * List, Map) as google.protobuf.Value, so that a worker in another language can read it, and protobuf messages as they
 * are.
 */
final class Payload {
  private Payload() {}

  /**
   * Packs plain data, a protobuf message, or an Any, which stays as it is.
   *
   * @throws IllegalArgumentException for anything else
   */
  static Any pack(Object payload) {
    if (payload == null) {
      return Any.getDefaultInstance();
    }
    if (payload instanceof Any any) {
      return any;
    }
    return deterministic(payload instanceof Message message ? message : value(payload));
  }

  /** Packs deterministic bytes: by them the server tells whether a Begin is a repeat, and a map has no order. */
  private static Any deterministic(Message message) {
    ByteString.Output bytes = ByteString.newOutput();
    CodedOutputStream output = CodedOutputStream.newInstance(bytes);
    output.useDeterministicSerialization();
    try {
      message.writeTo(output);
      output.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // bytes in memory can't fail
    }
    return Any.newBuilder()
        .setTypeUrl("type.googleapis.com/" + message.getDescriptorForType().getFullName())
        .setValue(bytes.toByteString())
        .build();
  }

  /** Returns plain data for a Value, null for an empty Any, else the Any itself, for the caller to unpack. */
  static Object unpack(Any packed) {
    if (packed.getTypeUrl().isEmpty()) {
      return null;
    }
    try {
      return packed.is(Value.class) ? plain(packed.unpack(Value.class)) : packed;
    } catch (InvalidProtocolBufferException e) {
      return packed;
    }
  }

  private static Value value(Object data) {
    Value.Builder value = Value.newBuilder();
    if (data == null) {
      return value.setNullValue(NullValue.NULL_VALUE).build();
    } else if (data instanceof Boolean flag) {
      return value.setBoolValue(flag).build();
    } else if (data instanceof Number number) {
      return value.setNumberValue(number.doubleValue()).build();
    } else if (data instanceof String text) {
      return value.setStringValue(text).build();
    } else if (data instanceof List<?> list) {
      ListValue.Builder items = ListValue.newBuilder();
      list.forEach(item -> items.addValues(value(item)));
      return value.setListValue(items).build();
    } else if (data instanceof Map<?, ?> map) {
      Struct.Builder fields = Struct.newBuilder();
      map.forEach((key, item) -> fields.putFields(String.valueOf(key), value(item)));
      return value.setStructValue(fields).build();
    }
    throw new IllegalArgumentException(
        "data, progress and results must be null, a Boolean, Number, String, List, Map or a protobuf message, not "
            + data.getClass().getName());
  }

  private static Object plain(Value value) {
    return switch (value.getKindCase()) {
      case BOOL_VALUE -> value.getBoolValue();
      case NUMBER_VALUE -> number(value.getNumberValue());
      case STRING_VALUE -> value.getStringValue();
      case LIST_VALUE -> {
        List<Object> list = new ArrayList<>();
        value.getListValue().getValuesList().forEach(item -> list.add(plain(item)));
        yield list;
      }
      case STRUCT_VALUE -> {
        Map<String, Object> map = new LinkedHashMap<>();
        value.getStructValue().getFieldsMap().forEach((key, item) -> map.put(key, plain(item)));
        yield map;
      }
      default -> null;
    };
  }

  /** Returns a whole number as a Long: a Value has only doubles. */
  private static Object number(double number) {
    boolean isWhole = number == Math.rint(number) && Math.abs(number) < 1L << 53;
    return isWhole ? (Object) (long) number : (Object) number;
  }
}
