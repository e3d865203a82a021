import Glibc
import MessagePack

/// A socket and frames, nothing more: what is sent is what the test says, also when no client would send it.
package final class RawConnection {
  private var socket: Int32
  private var received: [UInt8] = []
  private var start = 0

  /// Connects. An answer that does not come within `patience` seconds is a failure: it stands for "never".
  package init(port: UInt16, patience: Int = 30) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { throw BrokerFailure("socket: \(errno)") }
    var limit = timeval(tv_sec: patience, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var yes: Int32 = 1
    setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        connect(socket, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else {
      let reason = errno
      Glibc.close(socket)
      socket = -1
      throw BrokerFailure("connect: \(String(cString: strerror(reason)))")
    }
  }

  deinit { close() }

  /// Closes the socket; twice is once.
  package func close() {
    if socket >= 0 { Glibc.close(socket) }
    socket = -1
  }

  /// Says that nothing more will be sent; answers can still be read.
  package func finishSending() { shutdown(socket, Int32(SHUT_WR)) }

  /// Sends bytes as they are. False if the broker closed the connection meanwhile.
  @discardableResult
  package func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { bytes in
        Glibc.send(socket, bytes.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Sends what the socket takes now, without waiting: how many bytes that were.
  package func sendWhatFits(_ bytes: [UInt8]) -> Int {
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    return max(0, bytes.withUnsafeBytes { bytes in Glibc.send(socket, bytes.baseAddress, bytes.count, flags) })
  }

  /// Sends a message as one frame.
  @discardableResult
  package func send(_ message: MessageValue) throws -> Bool { send(Self.frame(try message.encoded())) }

  /// The next frame's message; nil when the broker has closed the connection.
  package func receive() throws -> MessageValue? {
    guard let head = try take(4) else { return nil }
    let length = head.reduce(0) { length, byte in length << 8 | Int(byte) }
    guard length <= 16 << 20 else { throw BrokerFailure("a frame of \(length) bytes from the broker") }
    guard let body = try take(length) else { return nil }
    return try MessageValue(decoding: body)
  }

  /// Sends a request and returns the response to it, passing over those to other requests.
  package func call(_ id: UInt64, _ method: String, _ params: MessageValue = [:]) throws -> MessageValue {
    try send([0, .uint(id), .string(method), params])
    while let message = try receive() {
      if message[0] == 1, message[1] == .uint(id) { return message }
      if message[0] == 2 { throw BrokerFailure("\(method) ended the connection: \(message)") }
    }
    throw BrokerFailure("the connection ended without an answer to \(method)")
  }

  /// Says hello as request 0.
  @discardableResult
  package func hello(clientID: String? = nil) throws -> MessageValue {
    var params: [(MessageValue, MessageValue)] = [("version", 1)]
    if let clientID { params.append(("client_id", .string(clientID))) }
    return try call(0, "hello", .map(params))
  }

  /// The bytes with their length before them.
  package static func frame(_ body: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(body.count).bigEndian) { Array($0) } + body
  }

  private func take(_ count: Int) throws -> [UInt8]? {
    while received.count - start < count {
      if start > 0 {
        received.removeFirst(start)
        start = 0
      }
      var chunk = [UInt8](repeating: 0, count: max(65_536, min(count, 1 << 20)))
      let read = recv(socket, &chunk, chunk.count, 0)
      if read < 0, errno == EINTR { continue }
      if read < 0, errno == EAGAIN { throw BrokerFailure("no answer: the broker is silent") }
      guard read > 0 else { return nil }
      received += chunk[..<read]
    }
    defer { start += count }
    return [UInt8](received[start..<start + count])
  }
}
