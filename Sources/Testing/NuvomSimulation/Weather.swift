internal import NuvomStorage
import SeededNumbers

/// Everything that a seed decides about a run before it begins: each run leaves out something else, so that what one fault hides another shows.
struct Weather {
  var broker = SimulatedBroker.Configuration()
  var producers = 3
  var workers = 4
  var largestPayload = 3_000
  /// One payload in so many is a large one: only a log that grows is ever cut short by snapshots.
  var largeOdds = 20
  /// Events between two of these, on average; nil for never.
  var powerCuts: Int?
  var kills: Int?
  var diskFaults: Int?
  var networkCuts: Int?
  var clockSteps: Int?
  var fullDisks: Int?
  var delay: Int64 = 300
  var pause: Int64 = 6_000
  var mayLose = false

  /// No trouble at all.
  init() {}

  init(_ random: inout SeededNumbers) {
    if random.once(in: 5) { broker.sync = random.once(in: 2) ? .interval(milliseconds: 20) : .never }
    broker.placement = random.element([.inline, .inline, .thread])
    if random.once(in: 6) { broker.memoryLimit = 24 << 20 }
    producers = 1 + random.below(4)
    workers = 1 + random.below(5)
    if !random.once(in: 4) { powerCuts = 300 + random.below(1_000) }
    // Of what was acknowledged a weaker policy may lose some when the power is cut; what is left must still be a state that there was.
    if powerCuts != nil, broker.sync != .always { mayLose = true }
    if !random.once(in: 3) { kills = 300 + random.below(1_000) }
    if case .always = broker.sync, random.once(in: 3) { diskFaults = 500 + random.below(1_500) }
    if !random.once(in: 4) { networkCuts = 40 + random.below(300) }
    if random.once(in: 3) { clockSteps = 200 + random.below(800) }
    if random.once(in: 4) { fullDisks = 400 + random.below(800) }
    if random.once(in: 2) { (largestPayload, largeOdds) = (20_000, 3) }
    delay = Int64(20 + random.below(2_000))
    pause = Int64(500 + random.below(20_000))
  }
}
