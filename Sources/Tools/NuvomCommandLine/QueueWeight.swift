import NuvomWorker

/// A queue as a worker's command line names it, and its weight if it has one: `mail`, `mail=3`.
package struct QueueWeight: Sendable, CustomStringConvertible {
  package let name: String
  package let weight: Int?

  /// Reads `NAME` or `NAME=WEIGHT`; what follows the last `=` is a weight, from 1 to 1 000 000, if it is a number, else part of the name.
  package init(_ text: String) throws {
    if let sign = text.lastIndex(of: "="), let weight = Int(text[text.index(after: sign)...]) {
      (name, self.weight) = (String(text[..<sign]), weight)
    } else {
      (name, weight) = (text, nil)
    }
    guard !name.isEmpty, (1...1_000_000).contains(weight ?? 1) else {
      throw Unreadable(description: "write a queue as NAME or NAME=WEIGHT, as in mail=3; a weight is from 1 to 1000000")
    }
  }

  package var description: String { weight.map { "\(name)=\($0)" } ?? name }

  /// Nil for none. In the order given or, when one has a weight, by weight, which is 1 where none is given.
  package static func order(_ queues: [QueueWeight]) -> QueueOrder? {
    if queues.isEmpty { return nil }
    if queues.allSatisfy({ $0.weight == nil }) { return .inOrder(queues.map(\.name)) }
    return .weighted(queues.map { (name: $0.name, weight: $0.weight ?? 1) })
  }
}
