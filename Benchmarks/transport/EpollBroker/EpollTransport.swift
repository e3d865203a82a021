import CEpoll
import Glibc
import NuvomBroker
import NuvomModel

/// The broker's seam (`Transport`, `Broker.receive`) on bare epoll, one thread, level-triggered. What it is for and what it lacks: main.swift.
///
/// A turn is what one `epoll_wait` gives: all ready sockets are read once, then everything that arrived is decided, then each connection gets its
/// answers in one `send`. Reading before deciding keeps the code of either in the processor's caches. It lives as long as the process, and frees
/// nothing.
final class EpollTransport: Transport {
  private let poll: Int32
  private let listener: Int32
  /// By the slot of the connection's number. Behind a pointer, as in NuvomServer: a class's stored properties are checked for exclusive access.
  private let links: UnsafeMutablePointer<Link>
  /// What was read in this turn, of all connections.
  private let received = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
  /// Their `partial` is more than the beginning of a frame: the broker takes it when answers have left.
  private var heldUp: [ConnectionID] = []

  private typealias LinkPointer = UnsafeMutablePointer<Link>

  /// One connection's socket, and what has not gone through it yet.
  private struct Link {
    var id: ConnectionID?
    var descriptor: Int32 = -1
    /// What epoll watches of it.
    var interest: UInt32 = 0
    /// What the broker has not taken: the beginning of a frame, or requests that wait until answers have left.
    var partial: [UInt8] = []
    var isHeldUp = false
    /// What the socket has not taken.
    var unsent: [UInt8] = []
    /// Sends its end when `unsent` has left.
    var isClosing = false
  }

  /// What a connection has sent in this turn, in `received`.
  private typealias Gathered = (link: LinkPointer, bytes: UnsafeRawBufferPointer)

  private static let connectionLimit = 12_000
  private static let eventsPerTurn = 256
  /// Room for one read: what has been read is decided first if there is less.
  private static let readBytes = 64 << 10
  /// Nothing is read from a connection that has so much unsent.
  private static let stuckBytes = 1 << 20
  /// Bytes that may wait for a client that does not read, before it is closed.
  private static let unsentLimit = 64 << 20
  /// In place of a connection's number.
  private static let listenerMark = UInt64.max

  /// Listens on loopback; port 0 picks a free one.
  init(port: UInt16) throws(SystemCallFailure) {
    links = .allocate(capacity: Self.connectionLimit)
    links.initialize(repeating: Link(), count: Self.connectionLimit)
    poll = try checked("epoll_create1", epoll_create1(Int32(EPOLL_CLOEXEC)))
    // Not blocking: who was waiting may be gone when he is accepted.
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    listener = try checked("socket", socket(AF_INET, type, 0))
    Self.set(SOL_SOCKET, SO_REUSEADDR, of: listener)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    let bound = withUnsafeBytes(of: &address) {
      $0.withMemoryRebound(to: sockaddr.self) {
        bind(listener, $0.baseAddress, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    _ = try checked("bind", bound)
    _ = try checked("listen", listen(listener, 4_096))
    _ = try checked("epoll_ctl", watch(listener, EPOLLIN.rawValue, Self.listenerMark, EPOLL_CTL_ADD))
  }

  // MARK: The loop

  /// Serves for ever.
  func run(_ broker: Broker) throws(SystemCallFailure) -> Never {
    let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventsPerTurn)
    var gathered: [Gathered] = []
    gathered.reserveCapacity(Self.eventsPerTurn)
    while true {
      let deadline = broker.nextDeadline
      let count = epoll_wait(poll, events, Int32(Self.eventsPerTurn), Self.milliseconds(until: deadline))
      var used = 0
      for event in UnsafeBufferPointer(start: events, count: max(0, Int(count))) {
        if event.data.u64 == Self.listenerMark {
          try accept(broker)
        } else if let link = find(ConnectionID(rawValue: event.data.u64)) {
          if received.count - used < Self.readBytes {
            decide(&gathered, broker)
            used = 0
          }
          used += ready(
            link, event.events, UnsafeMutableRawBufferPointer(rebasing: received[used...]), &gathered, broker)
        }
      }
      decide(&gathered, broker)
      if let deadline, deadline <= systemTime().boot { broker.fireTimers() }
      broker.endTurn()
      while resume(broker) { broker.endTurn() }
    }
  }

  /// Rounded up, as a timer that is looked at too early would be looked at again and again.
  private static func milliseconds(until deadline: Int64?) -> Int32 {
    guard let deadline else { return -1 }
    return Int32(clamping: max(0, deadline - systemTime().boot + 999) / 1_000)
  }

  // MARK: Connections

  private func accept(_ broker: Broker) throws(SystemCallFailure) {
    let descriptor = Glibc.accept(listener, nil, nil)
    if descriptor < 0 {
      // Without descriptors the listener would stay ready, and be asked without end.
      if errno == EMFILE || errno == ENFILE { throw SystemCallFailure(call: "accept", number: errno) }
      return
    }
    guard let id = broker.connect(), Self.slot(id) < Self.connectionLimit else {
      Glibc.close(descriptor)
      return
    }
    Self.set(Int32(IPPROTO_TCP), TCP_NODELAY, of: descriptor)
    links[Self.slot(id)] = Link(id: id, descriptor: descriptor)
    setInterest(links + Self.slot(id), EPOLL_CTL_ADD)
  }

  private static func slot(_ id: ConnectionID) -> Int { Int(UInt32(truncatingIfNeeded: id.rawValue)) }

  @inline(__always)
  private func find(_ id: ConnectionID) -> LinkPointer? {
    let slot = Self.slot(id)
    return slot < Self.connectionLimit && links[slot].id?.rawValue == id.rawValue ? links + slot : nil
  }

  private func remove(_ link: LinkPointer, _ broker: Broker) {
    guard let id = link.pointee.id else { return }
    Glibc.close(link.pointee.descriptor)
    link.pointee = Link()
    broker.disconnect(id)
  }

  // MARK: Reading

  /// Does what a socket is ready for. The count of bytes that were put into `room`.
  @inline(__always)
  private func ready(
    _ link: LinkPointer, _ events: UInt32, _ room: UnsafeMutableRawBufferPointer, _ gathered: inout [Gathered],
    _ broker: Broker
  ) -> Int {
    if events & EPOLLOUT.rawValue != 0 { flush(link) }
    // Of one that is not read from, only its failure is of interest; it would be reported without end.
    let isBroken = events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
    guard link.pointee.interest & EPOLLIN.rawValue != 0 else {
      if isBroken { remove(link, broker) }
      return 0
    }
    guard isBroken || events & EPOLLIN.rawValue != 0 else { return 0 }
    let count = recv(link.pointee.descriptor, room.baseAddress, min(room.count, Self.readBytes), Int32(MSG_DONTWAIT))
    if count > 0 {
      gathered.append((link, UnsafeRawBufferPointer(start: room.baseAddress, count: count)))
    } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
      remove(link, broker)
    }
    return max(0, count)
  }

  /// Gives the broker what was read. No connection in the list can be gone: each is ready once in a turn.
  private func decide(_ gathered: inout [Gathered], _ broker: Broker) {
    for (link, bytes) in gathered {
      guard let id = link.pointee.id else { continue }
      if link.pointee.partial.isEmpty {
        let used = broker.receive(bytes, from: id)
        if used == bytes.count { continue }
        link.pointee.partial.append(contentsOf: bytes[used...])
        kept(link, id, broker)
      } else {
        link.pointee.partial.append(contentsOf: bytes)
        takePartial(link, id, broker)
      }
    }
    gathered.removeAll(keepingCapacity: true)
  }

  private func takePartial(_ link: LinkPointer, _ id: ConnectionID, _ broker: Broker) {
    let used = link.pointee.partial.withUnsafeBytes { broker.receive($0, from: id) }
    link.pointee.partial.removeFirst(used)
    kept(link, id, broker)
  }

  /// Sees to what the broker has not taken: nothing more is read before it has, if it is not just waiting for the rest of a frame.
  private func kept(_ link: LinkPointer, _ id: ConnectionID, _ broker: Broker) {
    let wasHeldUp = link.pointee.isHeldUp
    link.pointee.isHeldUp = !link.pointee.partial.isEmpty && broker.isHeldUp(id)
    if link.pointee.isHeldUp, !wasHeldUp { heldUp.append(id) }
    setInterest(link)
  }

  /// Gives the broker again what it did not take. False if there was nothing, or only of connections that do not take their answers. It
  /// comes to an end, as nothing is read meanwhile.
  private func resume(_ broker: Broker) -> Bool {
    if heldUp.isEmpty { return false }
    let waiting = heldUp
    heldUp.removeAll(keepingCapacity: true)
    var hasResumed = false
    for id in waiting {
      guard let link = find(id) else { continue }
      if link.pointee.unsent.count > Self.stuckBytes {
        heldUp.append(id)
      } else {
        link.pointee.isHeldUp = false
        takePartial(link, id, broker)
        hasResumed = true
      }
    }
    return hasResumed
  }

  // MARK: Transport

  func send(_ bytes: BorrowedBytes, to connection: ConnectionID) {
    guard !bytes.isEmpty, let link = find(connection) else { return }
    let sent = link.pointee.unsent.isEmpty ? send(bytes, link) : 0
    if sent == bytes.count { return }
    link.pointee.unsent.append(contentsOf: bytes[sent...])
    // As with a socket that fails, epoll tells of its end: the broker must not be told while it lets answers out.
    if link.pointee.unsent.count > Self.unsentLimit { shutdown(link.pointee.descriptor, Int32(SHUT_RDWR)) }
    setInterest(link)
  }

  /// How many bytes the socket took.
  private func send(_ bytes: BorrowedBytes, _ link: LinkPointer) -> Int {
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    return max(0, Glibc.send(link.pointee.descriptor, bytes.baseAddress, bytes.count, flags))
  }

  func close(_ connection: ConnectionID) {
    guard let link = find(connection) else { return }
    // The connection goes when the peer has seen the end.
    link.pointee.isClosing = true
    if link.pointee.unsent.isEmpty { shutdown(link.pointee.descriptor, Int32(SHUT_WR)) }
  }

  /// The socket takes bytes again.
  private func flush(_ link: LinkPointer) {
    link.pointee.unsent.removeFirst(link.pointee.unsent.withUnsafeBytes { send($0, link) })
    if link.pointee.isClosing, link.pointee.unsent.isEmpty { shutdown(link.pointee.descriptor, Int32(SHUT_WR)) }
    setInterest(link)
  }

  // MARK: System calls

  /// Tells epoll what is wanted of a connection, if that has changed.
  private func setInterest(_ link: LinkPointer, _ operation: Int32 = EPOLL_CTL_MOD) {
    let isPaused = link.pointee.isHeldUp || link.pointee.unsent.count > Self.stuckBytes
    let wanted = (isPaused ? 0 : EPOLLIN.rawValue) | (link.pointee.unsent.isEmpty ? 0 : EPOLLOUT.rawValue)
    guard wanted != link.pointee.interest, let id = link.pointee.id else { return }
    link.pointee.interest = wanted
    _ = watch(link.pointee.descriptor, wanted, id.rawValue, operation)
  }

  private func watch(_ descriptor: Int32, _ events: UInt32, _ mark: UInt64, _ operation: Int32) -> Int32 {
    var event = epoll_event(events: events, data: epoll_data(u64: mark))
    return epoll_ctl(poll, operation, descriptor, &event)
  }

  private static func set(_ level: Int32, _ option: Int32, of descriptor: Int32) {
    var one: Int32 = 1
    setsockopt(descriptor, level, option, &one, socklen_t(MemoryLayout<Int32>.size))
  }
}

/// A call of the system that failed where nothing can be done about it.
struct SystemCallFailure: Error, CustomStringConvertible {
  let call: String
  let number: Int32
  var description: String { "\(call): \(String(cString: strerror(number)))" }
}

private func checked(_ call: String, _ result: Int32) throws(SystemCallFailure) -> Int32 {
  if result < 0 { throw SystemCallFailure(call: call, number: errno) }
  return result
}
