import MessagePack
import NuvomHistory

/// A job in the words of the wire, and in those of the history.
struct WireJob {
  var fields: [(MessageValue, MessageValue)]
  var job: History.NewJob

  init(queue: String, payload: [UInt8]) {
    fields = [
      ("queue", .string(queue)), ("task", "crash"), ("max_attempts", 65_535), ("backoff_base_ms", 0),
      ("payload", .binary(payload)),
    ]
    job = History.NewJob(payload: History.digest(of: payload))
  }

  mutating func delay(milliseconds: UInt64) {
    fields.append(("delay_ms", .uint(milliseconds)))
    job.delayNanoseconds = milliseconds * 1_000_000
  }

  mutating func setUniqueKey(_ key: String, milliseconds: UInt64) {
    fields += [("unique_key", .string(key)), ("unique_ms", .uint(milliseconds))]
    job.uniqueKey = History.digest(of: key)
    job.uniqueNanoseconds = milliseconds * 1_000_000
  }

  mutating func limit(attempts: UInt64) {
    fields[2].1 = .uint(attempts)
    job.maximumAttempts = UInt32(attempts)
  }

  mutating func expire(milliseconds: UInt64) {
    fields.append(("expires_in_ms", .uint(milliseconds)))
    job.mayExpire = true
  }

  mutating func keep() {
    fields.append(("retention_ms", 3_600_000))
    job.isKept = true
  }
}
