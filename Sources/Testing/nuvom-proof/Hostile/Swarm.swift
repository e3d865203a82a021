import BrokerProcess
import CEpoll
import Glibc
import MessagePack

/// A crowd's connections on one thread, without ever waiting for one of them.
final class Swarm {
  /// What came of the connections, by name: `answers`, `errors CODE`, `goodbye CODE`, `closed`, `reset`, `failed REASON`.
  private(set) var counts: [String: Int] = [:]
  /// Goodbyes without the `retry_after_ms` that they owe.
  private(set) var bareGoodbyes = 0

  private let crowd: Crowd
  private let port: UInt16
  private let poll: Int32
  private var members: [Member] = []
  /// Connected or connecting, and not answered yet.
  private var pending = 0
  /// Answered or sent away at least once.
  private var welcomed = 0
  private var dripping: [Member] = []
  private var chunk = [UInt8](repeating: 0, count: 65_536)

  /// More at a time would overflow the broker's queue of connections that it has not accepted, and wait for the kernel's retries.
  private static let pendingLimit = 1_000

  private final class Member {
    let index: Int
    let stranger: Stranger
    var socket: Int32 = -1
    var isPending = false
    var hasBeenSettled = false
    var sent = 0
    var dripped = 0
    var nextDrip: Int64 = 0
    var answers = 0
    var received: [UInt8] = []
    var isOver = false

    init(index: Int, stranger: Stranger) {
      self.index = index
      self.stranger = stranger
    }
  }

  init(_ crowd: Crowd, port: UInt16) throws {
    self.crowd = crowd
    self.port = port
    poll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard poll >= 0 else { throw BrokerFailure("epoll_create1: \(errno)") }
  }

  /// Connections that are open.
  var open: Int { members.count { $0.socket >= 0 && !$0.isOver } }

  /// Whether everybody has come, and was answered or sent away.
  var isComplete: Bool { welcomed == crowd.count }

  /// Does what there is to do for some milliseconds.
  func work(milliseconds: Int32) throws {
    while members.count < crowd.count, pending < Self.pendingLimit {
      let member = Member(index: members.count, stranger: try crowd.stranger(members.count))
      members.append(member)
      come(member)
    }
    var events = [epoll_event](repeating: epoll_event(), count: 512)
    let count = epoll_wait(poll, &events, 512, milliseconds)
    for event in events.prefix(Int(max(0, count))) {
      let member = members[Int(event.data.u32)]
      guard member.socket >= 0 else { continue }
      if event.events & EPOLLOUT.rawValue != 0 { send(member) }
      if member.socket >= 0, event.events & (EPOLLIN.rawValue | EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 {
        receive(member)
      }
    }
    drip()
  }

  // MARK: Coming and going

  private func come(_ member: Member) {
    let number = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { return count("failed socket: \(String(cString: strerror(errno)))") }
    var yes: Int32 = 1
    setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    setsockopt(number, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &yes, socklen_t(MemoryLayout<Int32>.size))
    // From many addresses: one has 28,000 ports, and a port that was closed rests for a minute.
    var own = Self.address(0x7f00_0100 + UInt32(member.index % 200) + 1, port: 0)
    var broker = Self.address(0x7f00_0001, port: port)
    guard Self.with(&own, { bind(number, $0, $1) }) == 0,
      Self.with(&broker, { connect(number, $0, $1) }) == 0 || errno == EINPROGRESS
    else {
      count("failed connect: \(String(cString: strerror(errno)))")
      close(number)
      return
    }
    member.socket = number
    member.sent = 0
    member.dripped = 0
    member.answers = 0
    member.received = []
    member.isPending = true
    pending += 1
    var event = epoll_event(events: EPOLLOUT.rawValue, data: epoll_data(u32: UInt32(member.index)))
    epoll_ctl(poll, EPOLL_CTL_ADD, number, &event)
  }

  private func settle(_ member: Member) {
    guard member.isPending else { return }
    member.isPending = false
    pending -= 1
    if !member.hasBeenSettled { welcomed += 1 }
    member.hasBeenSettled = true
  }

  private func leave(_ member: Member, resetting: Bool = false) {
    if resetting {
      var now = linger(l_onoff: 1, l_linger: 0)
      setsockopt(member.socket, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }
    settle(member)
    close(member.socket)
    member.socket = -1
  }

  private func follow(_ member: Member) {
    switch member.stranger.sequel {
    case .stay: break
    case .comeAgain:
      leave(member)
      count("came again")
      come(member)
    case .reset: leave(member, resetting: true)
    case .halfClose: shutdown(member.socket, Int32(SHUT_WR))
    }
  }

  // MARK: Bytes

  private func watch(_ member: Member, sending: Bool) {
    var interest = sending ? EPOLLOUT.rawValue : 0
    if member.stranger.isReading { interest |= EPOLLIN.rawValue }
    var event = epoll_event(events: interest, data: epoll_data(u32: UInt32(member.index)))
    epoll_ctl(poll, EPOLL_CTL_MOD, member.socket, &event)
  }

  private func send(_ member: Member) {
    let bytes = member.stranger.opening
    while member.sent < bytes.count {
      let count = bytes.withUnsafeBytes { bytes in
        Glibc.send(
          member.socket, bytes.baseAddress?.advanced(by: member.sent), bytes.count - member.sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EAGAIN {
        // What the broker does not take in it does not want; it counts as having come.
        if !member.stranger.awaitsAnswer { settle(member) }
        return watch(member, sending: true)
      }
      guard count > 0 else { return finished(member, "reset") }
      member.sent += count
    }
    watch(member, sending: false)
    if !member.stranger.drip.isEmpty, member.nextDrip == 0 {
      member.nextDrip = monotonicMicroseconds() + Int64(member.stranger.dripSeconds * 1_000_000)
      dripping.append(member)
    }
    if !member.stranger.awaitsAnswer {
      settle(member)
      if case .comeAgain = member.stranger.sequel { follow(member) }
    }
  }

  private func drip() {
    guard !dripping.isEmpty else { return }
    let now = monotonicMicroseconds()
    for member in dripping where now >= member.nextDrip && member.socket >= 0 && !member.isOver {
      guard member.dripped < member.stranger.drip.count else { continue }
      member.nextDrip = now + Int64(member.stranger.dripSeconds * 1_000_000)
      let byte = [member.stranger.drip[member.dripped]]
      member.dripped += 1
      if Glibc.send(member.socket, byte, 1, Int32(MSG_NOSIGNAL)) != 1 { finished(member, "reset") }
    }
  }

  private func receive(_ member: Member) {
    let length = recv(member.socket, &chunk, chunk.count, 0)
    if length < 0, errno == EAGAIN || errno == EINTR { return }
    guard length > 0 else { return finished(member, length == 0 ? "closed" : "reset") }
    member.received += chunk[..<length]
    while member.received.count >= 4 {
      let size = member.received[..<4].reduce(0) { size, byte in size << 8 | Int(byte) }
      guard member.received.count >= 4 + size else { break }
      take(Array(member.received[4..<4 + size]), of: member)
      member.received.removeFirst(4 + size)
    }
    if member.answers >= member.stranger.answersAwaited, member.isPending {
      settle(member)
      follow(member)
    }
  }

  private func take(_ frame: [UInt8], of member: Member) {
    guard let message = try? MessageValue(decoding: frame) else { return count("failed: not MessagePack") }
    member.answers += 1
    if message[0] == 2 {
      guard case .string(let code)? = message[2]?["code"] else { return count("failed: \(message)") }
      count("goodbye \(code)")
      if code == "TOO_MANY_CONNECTIONS" || code == "MEMORY_FULL", message[2]?["retry_after_ms"] == nil {
        bareGoodbyes += 1
      }
      // Who is sent away is not answered any more.
      member.answers = max(member.answers, member.stranger.answersAwaited)
    } else if case .string(let code)? = message[2]?["code"] {
      count("errors \(code)")
    } else {
      count("answers")
      if case .array(let jobs)? = message[3]?["jobs"] { count("jobs", jobs.count) }
    }
  }

  private func finished(_ member: Member, _ how: String) {
    count(how)
    switch member.stranger.sequel {
    case .comeAgain: follow(member)
    default:
      leave(member)
      member.isOver = true
    }
  }

  private func count(_ name: String, _ number: Int = 1) { counts[name, default: 0] += number }

  // MARK: Addresses

  private static func address(_ address: UInt32, port: UInt16) -> sockaddr_in {
    var result = sockaddr_in()
    result.sin_family = sa_family_t(AF_INET)
    result.sin_port = port.bigEndian
    result.sin_addr.s_addr = address.bigEndian
    return result
  }

  private static func with(_ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32
  {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
}
