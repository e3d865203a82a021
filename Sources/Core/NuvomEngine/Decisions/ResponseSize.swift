import NuvomModel

/// How large a dequeue's response has become: it must not exceed a frame, neither in bytes nor in elements.
struct ResponseSize {
  private var bytes = 0
  private var elements: Int

  /// Elements of a delivery's map with its seven pairs, and that of how often it was postponed.
  private static let elementsOfDelivery = 17
  /// Elements of the pair that tells a job's schedule.
  private static let elementsOfFire = 6
  /// Elements of a refused settlement's map, which has four pairs.
  private static let elementsOfRefusal = 9
  /// Elements of the response around its deliveries and refusals.
  private static let elementsAround = 16

  /// A response without deliveries.
  init(refusals: Int) { elements = Self.elementsAround + refusals * Self.elementsOfRefusal }

  /// Whether a job still fits, and then adds it. The first always does.
  @inline(__always)
  mutating func takes(_ job: JobBody, isFired: Bool) -> Bool {
    // Names and keys of a delivery's map are less than 1 KiB.
    let newBytes = bytes + job.payload.count + job.headers.count + job.tags.count + 1_024
    var newElements = elements + Self.elementsOfDelivery
    if isFired { newElements += Self.elementsOfFire }
    if job.timeoutMilliseconds != 0 { newElements += 2 }
    if job.maximumAttempts != 3 { newElements += 2 }
    if job.headers.count > 0 { newElements += 2 + job.headers.flatElements }
    if job.tags.count > 0 { newElements += 2 + job.tags.flatElements }
    if bytes > 0,
      newBytes > ProtocolLimits.dequeuePayloadBytes + (2 << 20) || newElements > ProtocolLimits.frameElements
    {
      return false
    }
    bytes = newBytes
    elements = newElements
    return true
  }
}
