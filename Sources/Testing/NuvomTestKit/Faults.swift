public import NuvomClient
import NuvomConnection
public import NuvomModel
import NuvomWire

/// What a client can ask of a broker, by the names of Protocol.md.
public typealias RequestMethod = NuvomModel.Method

/// What goes wrong between a ``TestBroker`` and its clients, by a test's script.
///
/// A fault waits for the next request or delivery that it fits, and happens once, unless it says how often. Several faults for the same wait
/// in their order.
public struct Faults: Sendable {
  let broker: InProcessBroker

  /// The next request of this kind is lost on its way: the broker never sees it, and the client's call fails as after a lost connection,
  /// with `UNREACHABLE`.
  public func lose(_ method: RequestMethod, times: Int = 1) { add(.request(method, .lose), times) }

  /// The next request of this kind is done, and its answer is lost: the client's call fails with `UNREACHABLE`, and nobody knows of the jobs
  /// that a dequeue brought until their leases run out.
  public func loseAnswer(to method: RequestMethod, times: Int = 1) { add(.request(method, .loseAnswer), times) }

  /// The connection breaks after the next request of this kind was done and before it is answered. The client connects again and repeats what was
  /// not answered, as it does in production; the broker does nothing twice.
  public func disconnect(on method: RequestMethod, times: Int = 1) { add(.request(method, .disconnect), times) }

  /// The next request of this kind is refused, as by a broker that is full: `MEMORY_FULL`, say.
  public func refuse(_ method: RequestMethod, with code: NuvomError.Code, retryAfter: Duration? = nil, times: Int = 1) {
    let failure = Failure(
      code: code.rawValue, message: "refused by the test's script",
      retryAfterMilliseconds: retryAfter.map { UInt64(clamping: Int64($0 / .milliseconds(1))) })
    add(.request(method, .refuse(failure)), times)
  }

  /// A delivery's ack is lost, and from then on everything that its worker says of it (the ack again, extensions), with all else in those requests:
  /// until the lease has run out, the worker is cut off. It has done the job, and the broker delivers it again.
  ///
  /// - Parameters:
  ///   - job: nil: the next that is acked.
  ///   - times: how many deliveries this happens to.
  public func loseAck(of job: JobID? = nil, times: Int = 1) { add(.ack(job), times) }

  /// A job is delivered a second time as soon as a worker has it: its lease ends under that worker, who still runs it, and whose ack will be
  /// refused with `LEASE_LOST`. There is no wait before the second delivery. A job that has a single attempt becomes a dead letter instead.
  ///
  /// - Parameters:
  ///   - job: nil: the next that is delivered.
  ///   - times: how many deliveries this happens to.
  public func deliverTwice(_ job: JobID? = nil, times: Int = 1) { add(.delivery(job), times) }

  /// Ends a job's lease now, as if it had run out: the attempt counts, and the job waits for its next one by its policy, or becomes a dead letter.
  /// - Returns: false if nobody holds the job.
  @discardableResult
  public func expireLease(of job: JobID) -> Bool { broker.endLease(of: job, isReadyAtOnce: false) }

  /// Forgets the faults that have not happened.
  public func clear() { broker.script { $0 = FaultScript() } }

  /// How many faults have not happened.
  public var pending: Int { broker.script { $0.pending.count } }

  private func add(_ fault: FaultScript.Fault, _ times: Int) {
    broker.script { script in script.pending += Array(repeating: fault, count: times) }
  }
}

/// The faults that are still to happen.
struct FaultScript {
  /// What happens to a request.
  enum RequestFault {
    case lose
    case loseAnswer
    case disconnect
    case refuse(Failure)
  }

  enum Fault {
    case request(RequestMethod, RequestFault)
    case ack(JobID?)
    case delivery(JobID?)
  }

  var pending: [Fault] = []
  /// Deliveries of which nothing arrives any more, while they last.
  private var cutOff: [LeaseToken: JobID] = [:]

  /// What is to happen to a request, if anything.
  mutating func fault(for frame: RequestFrame) -> RequestFault? {
    if pending.isEmpty && cutOff.isEmpty { return nil }
    if loses(frame) { return .lose }
    let index = pending.firstIndex { fault in
      if case .request(frame.method, _) = fault { true } else { false }
    }
    guard let index, case .request(_, let fault) = pending.remove(at: index) else { return nil }
    return fault
  }

  /// Whether a delivered job is to be delivered again at once.
  mutating func delivers(again job: JobID) -> Bool {
    let index = pending.firstIndex { fault in
      if case .delivery(let wanted) = fault { wanted == nil || wanted == job } else { false }
    }
    guard let index else { return false }
    pending.remove(at: index)
    return true
  }

  /// Nobody holds the job any more under the lease that it had.
  mutating func leaseEnded(of job: JobID) { cutOff = cutOff.filter { $0.value != job } }

  private mutating func loses(_ frame: RequestFrame) -> Bool {
    switch frame.method {
    case .ack, .nack, .release, .extend, .dequeue, .multi: break
    default: return false
    }
    var isLost = false
    for settlement in Self.settlements(in: frame) {
      if cutOff[settlement.token] != nil {
        isLost = true
        continue
      }
      let index = pending.firstIndex { fault in
        if case .ack(let wanted) = fault { wanted == nil || wanted == settlement.job } else { false }
      }
      guard let index, settlement.isAck else { continue }
      pending.remove(at: index)
      cutOff[settlement.token] = settlement.job
      isLost = true
    }
    return isLost
  }

  private static func settlements(in frame: RequestFrame) -> [(job: JobID, token: LeaseToken, isAck: Bool)] {
    var frame = frame
    frame.number(RequestID(rawValue: 0))
    return frame.bytes.withUnsafeBytes { bytes in
      var decoder = RequestDecoder()
      var request = Request()
      guard case .request = decoder.decode(BorrowedBytes(rebasing: bytes[4...]), into: &request) else { return [] }
      return request.settlements.map { ($0.id, $0.token, $0.kind == .ack) }
    }
  }
}
