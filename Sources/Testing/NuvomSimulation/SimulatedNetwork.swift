import NuvomBroker
import NuvomModel

/// A TCP connection: bytes arrive in their order, in whatever pieces and whenever; either end may learn late, or never, that it is gone.
final class Link {
  let number: Int
  unowned let client: SimulatedClient
  /// The broker's name for it, while the broker has it.
  var connection: ConnectionID?
  /// Arrived at the broker, and not taken by it.
  var unread: [UInt8] = []
  var isInTurn = false
  /// Nothing more arrives before these.
  var earliestAtBroker: Int64 = 0
  var earliestAtClient: Int64 = 0
  /// Nothing passes any more, though an end may not know.
  var isCut = false

  init(number: Int, client: SimulatedClient) {
    self.number = number
    self.client = client
  }
}

/// The broker's side of all connections.
final class SimulatedNetwork: Transport {
  private(set) var links: [ConnectionID: Link] = [:]
  /// Set by the world, which lets the bytes travel.
  var deliver: (BorrowedBytes, Link) -> Void = { _, _ in }
  var hangUp: (Link) -> Void = { _ in }

  func add(_ link: Link, as connection: ConnectionID) {
    link.connection = connection
    links[connection] = link
  }

  func remove(_ link: Link) {
    if let connection = link.connection { links[connection] = nil }
    link.connection = nil
  }

  /// In the order in which they were made.
  var all: [Link] { links.values.sorted { $0.number < $1.number } }

  func send(_ bytes: BorrowedBytes, to connection: ConnectionID) {
    if let link = links[connection] { deliver(bytes, link) }
  }

  func close(_ connection: ConnectionID) {
    if let link = links[connection] { hangUp(link) }
  }
}
