import MessagePack
import NuvomModel

/// A connection as the broker's loop sees it: what it may say, and what is waiting to be told to it.
final class Peer {
  let connection: ConnectionID
  /// Said hello: may send every method.
  var isOpen = false
  /// Nothing more is read from it; it is closed when what it is owed was sent.
  var isEnding = false
  /// What this turn told it. Leaves when all that it tells of is durable.
  var told = MessageWriter()
  /// Deliveries among `told`: given back if they cannot be handed to the socket.
  var toldDeliveries: [(id: JobID, token: LeaseToken)] = []
  /// What earlier turns told it, waiting for the commit in flight.
  var held = MessageWriter()
  var heldDeliveries: [(id: JobID, token: LeaseToken)] = []
  /// Whether it is in the broker's list of peers with something in `told`.
  var isListed = false

  init(_ connection: ConnectionID) { self.connection = connection }

  /// Moves what was told behind the commit that now begins.
  func hold() {
    if held.count == 0 {
      swap(&held, &told)
      swap(&heldDeliveries, &toldDeliveries)
    } else {
      told.withBytes { held.raw($0) }
      heldDeliveries.append(contentsOf: toldDeliveries)
      told.removeAll()
      toldDeliveries.removeAll(keepingCapacity: true)
    }
  }

  /// Forgets what has left, and the room of an unusually large answer.
  func release() {
    held.removeAll(keepingCapacity: held.count <= 64 << 10)
    heldDeliveries.removeAll(keepingCapacity: heldDeliveries.count <= 1_024)
  }
}
