/// How a worker behaves.
public struct WorkerConfiguration: Sendable {
  /// What people see of it, in the errors of attempts.
  public var name: String
  /// How many jobs run at once, from 1.
  public var concurrency: Int
  /// Where jobs are taken from; nil: the queues that its tasks name.
  public var queues: QueueOrder?
  /// How long a lease lasts without a sign of life, 1 s to a day, for jobs that do not bring their own. A third of it passes between two
  /// signs: a worker that dies keeps its jobs from others for this long.
  public var lease: Duration
  /// How long what runs may take to finish when the worker is stopped. Telling the broker comes on top: nothing to speak of, or the
  /// client's request timeout if the broker is away.
  public var gracePeriod: Duration
  /// How long an attempt may take whose job names no limit; nil: no limit.
  public var defaultTimeout: Duration?

  /// By default ten jobs at once, leases of 30 s, and 25 s to finish.
  public init(
    name: String = "", concurrency: Int = 10, queues: QueueOrder? = nil, lease: Duration = .seconds(30),
    gracePeriod: Duration = .seconds(25), defaultTimeout: Duration? = nil
  ) {
    self.name = name
    self.concurrency = concurrency
    self.queues = queues
    self.lease = lease
    self.gracePeriod = gracePeriod
    self.defaultTimeout = defaultTimeout
  }

  func check() throws(WorkerError) {
    guard concurrency >= 1 else {
      throw WorkerError(.badConfiguration, "a worker runs at least one job at once, not \(concurrency)")
    }
    guard lease >= .seconds(1), lease <= .seconds(86_400) else {
      throw WorkerError(.badConfiguration, "a worker's lease is from 1 s to a day, not \(lease)")
    }
    guard let names = queues?.names, (1...64).contains(names.count) else {
      throw WorkerError(.badConfiguration, "a worker takes from 1 to 64 queues: name them, or give it tasks")
    }
    guard queues?.weights.allSatisfy({ $0 >= 1 }) == true, Set(names).count == names.count else {
      throw WorkerError(.badConfiguration, "a queue is named once, and its weight is at least 1")
    }
  }
}

/// Where a worker takes jobs from.
public struct QueueOrder: Hashable, Sendable {
  let names: [String]
  let weights: [Int]
  let isWeighted: Bool

  /// From the first queue that has a job: what is in a later one waits for all before it.
  public static func inOrder(_ names: [String]) -> QueueOrder {
    QueueOrder(names: names, weights: names.map { _ in 1 }, isWeighted: false)
  }

  /// From each queue as often as its weight says, in parts of their sum, while all have jobs; none starves.
  public static func weighted(_ weights: KeyValuePairs<String, Int>) -> QueueOrder {
    QueueOrder(names: weights.map(\.key), weights: weights.map(\.value), isWeighted: true)
  }

  /// The same, from queues that are read at run time.
  public static func weighted(_ queues: [(name: String, weight: Int)]) -> QueueOrder {
    QueueOrder(names: queues.map(\.name), weights: queues.map(\.weight), isWeighted: true)
  }
}

/// The orders of the queues in successive requests. By weight, it is smooth weighted round-robin: the first of each request is the
/// queue that is furthest behind its share, the others follow by the same measure.
struct FetchOrder {
  private let order: QueueOrder
  private var credits: [Int]

  init(_ order: QueueOrder) {
    self.order = order
    credits = order.weights.map { _ in 0 }
  }

  mutating func next() -> [String] {
    guard order.isWeighted else { return order.names }
    for index in credits.indices { credits[index] += order.weights[index] }
    let ranked = credits.indices.sorted { (-credits[$0], $0) < (-credits[$1], $1) }
    if let first = ranked.first { credits[first] -= order.weights.reduce(0, +) }
    return ranked.map { order.names[$0] }
  }
}

/// Why a worker does not run.
public struct WorkerError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What programs go by.
  public enum Code: String, Hashable, Sendable {
    /// Two tasks have one name.
    case duplicateTask = "DUPLICATE_TASK"
    /// The configuration cannot be meant.
    case badConfiguration = "BAD_CONFIGURATION"
    /// `run()` was called before.
    case alreadyRun = "ALREADY_RUN"
  }

  /// What programs go by.
  public let code: Code
  /// What is wrong and what to do.
  public let message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
