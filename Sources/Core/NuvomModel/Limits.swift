/// The protocol's limits (Protocol.md, "Common types and limits"). Times in the unit of the name.
public enum ProtocolLimits {
  /// The version of the protocol that this code speaks.
  public static let version: UInt64 = 1
  /// The port a broker listens on unless told otherwise.
  public static let defaultPort = 8866
  /// Bytes of a frame after its length, once hello was said.
  public static let frameBytes = 16 << 20
  /// Bytes of a frame after its length, before hello.
  public static let frameBytesBeforeHello = 4 << 10
  /// Values, keys and containers in one frame.
  public static let frameElements = 262_144
  /// Bytes of a queue's, task's, schedule's or time zone's name, a unique key, an error's type.
  public static let nameBytes = 255
  /// Bytes of a client's id.
  public static let clientIDBytes = 64
  /// Bytes of a payload or a result.
  public static let payloadBytes = 8 << 20
  /// Bytes of a job's headers, encoded.
  public static let headerBytes = 64 << 10
  /// Bytes of a job's tags, encoded.
  public static let tagBytes = 4 << 10
  /// Bytes of a schedule's metadata, encoded.
  public static let metadataBytes = 4 << 10
  /// The longest jitter of a schedule: one day.
  public static let jitterMilliseconds: UInt64 = 86_400_000
  /// Bytes of a progress report's message.
  public static let progressMessageBytes = 255
  /// Bytes kept of an error's message.
  public static let errorMessageBytes = 4 << 10
  /// Bytes kept of an error's trace.
  public static let errorTraceBytes = 16 << 10
  /// Jobs, ids, settlements, progress reports, or schedules or their names, in one request.
  public static let itemsPerRequest = 10_000
  /// Operations in one multi.
  public static let operationsPerMulti = 1_000
  /// Queues that one dequeue names.
  public static let queuesPerDequeue = 64
  /// Requests of one connection that wait (dequeue with wait, wait).
  public static let waitingPerConnection = 1_024
  /// The longest duration: 100 years.
  public static let durationMilliseconds: UInt64 = 3_155_760_000_000
  /// The latest time: the end of the year 9999.
  public static let timeMilliseconds: UInt64 = 253_402_300_799_999
  /// The longest lease: one day.
  public static let leaseMilliseconds: UInt64 = 86_400_000
  /// The longest wait of a dequeue or wait: one hour.
  public static let waitMilliseconds: UInt64 = 3_600_000
  /// Bytes of the jobs, headers and tags included, that one schedule_trigger may enqueue.
  public static let triggeredBytes = 64 << 20
  /// Payload bytes after which a dequeue's response takes no further job.
  public static let dequeuePayloadBytes = 8 << 20
  /// Bytes of payloads, headers and errors in a page of dead letters, or of metadata, headers and tags in one of schedules, that has more than one.
  public static let pageBytes = 8 << 20
}
