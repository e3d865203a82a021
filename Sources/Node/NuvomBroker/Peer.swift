import MessagePack
import NuvomModel

/// A connection as the broker's loop sees it: what it may say, and what is waiting to be told to it.
///
/// What changes is behind a pointer: it is touched several times for each request, and a class's stored properties are checked for
/// exclusive access each time (some 10 ns).
final class Peer {
  private struct State: ~Copyable {
    var isOpen = false
    var isEnding = false
    var isListed = false
    var noted = 0
    var told = MessageWriter()
    var held = MessageWriter()
    var toldDeliveries: [(id: JobID, token: LeaseToken)] = []
    var heldDeliveries: [(id: JobID, token: LeaseToken)] = []
  }

  let connection: ConnectionID
  private let state: UnsafeMutablePointer<State>

  init(_ connection: ConnectionID) {
    self.connection = connection
    state = .allocate(capacity: 1)
    state.initialize(to: State())
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
  }

  /// Said hello: may send every method.
  var isOpen: Bool {
    get { state.pointee.isOpen }
    set { state.pointee.isOpen = newValue }
  }

  /// Nothing more is read from it; it is closed when what it is owed was sent.
  var isEnding: Bool {
    get { state.pointee.isEnding }
    set { state.pointee.isEnding = newValue }
  }

  /// Whether it is in the broker's list of peers with something in `told`.
  var isListed: Bool {
    get { state.pointee.isListed }
    set { state.pointee.isListed = newValue }
  }

  /// What this turn told it. Leaves when all that it tells of is durable.
  var told: MessageWriter {
    _read { yield state.pointee.told }
    _modify { yield &state.pointee.told }
  }

  /// What earlier turns told it, waiting for the commit in flight.
  var held: MessageWriter {
    _read { yield state.pointee.held }
    _modify { yield &state.pointee.held }
  }

  /// Deliveries among `told`: given back if they cannot be handed to the socket.
  var toldDeliveries: [(id: JobID, token: LeaseToken)] {
    _read { yield state.pointee.toldDeliveries }
    _modify { yield &state.pointee.toldDeliveries }
  }

  /// Deliveries among `held`.
  var heldDeliveries: [(id: JobID, token: LeaseToken)] {
    _read { yield state.pointee.heldDeliveries }
    _modify { yield &state.pointee.heldDeliveries }
  }

  /// By how much `told` has grown since it was asked last.
  @inline(__always)
  func noteTold() -> Int {
    let growth = state.pointee.told.count - state.pointee.noted
    state.pointee.noted += growth
    return growth
  }

  /// Moves what was told behind the commit that now begins.
  func hold() {
    state.pointee.noted = 0
    if state.pointee.held.count == 0 {
      swap(&state.pointee.held, &state.pointee.told)
      if !toldDeliveries.isEmpty { swap(&state.pointee.heldDeliveries, &state.pointee.toldDeliveries) }
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
    if !heldDeliveries.isEmpty { heldDeliveries.removeAll(keepingCapacity: heldDeliveries.count <= 1_024) }
  }
}
