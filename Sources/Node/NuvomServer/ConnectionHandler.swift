import NIOCore
import NuvomBroker
import NuvomModel
import NuvomWire
import MessagePack

/// A connection's end in the pipeline: carries bytes between its channel and the broker, and bounds what it may keep of them.
final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let loop: BrokerLoop
  private let state: UnsafeMutablePointer<State>
  private(set) var peerName = "unknown"
  /// Bytes of it that the loop has been told of: what is in `partial`, and what the socket had not taken at the last look.
  private(set) var counted = 0
  /// Told that there is no place for it, and not closed yet.
  private var isRefused = false
  private let came: NIODeadline

  /// What each read touches. Behind a pointer: a class's stored properties are checked for exclusive access each time.
  private struct State {
    var context: ChannelHandlerContext?
    var connection: ConnectionID?
    var partial: ByteBuffer?
    var isHeldUp = false
    var hasSpoken = false
    var lastHeard: NIODeadline
    /// Bytes that the socket had not taken at the last look, and those handed to it since.
    var unsent = 0
    var sentSinceLook = 0
    /// What is kept of answers: a buffer of which a part was taken is kept whole. The sizes of the buffers, and their sum.
    var buffers: [Int] = []
    var bufferedAnswers = 0
    var stuck: (since: NIODeadline, bytes: Int)?
  }

  init(loop: BrokerLoop) {
    self.loop = loop
    came = loop.eventLoop.now
    state = .allocate(capacity: 1)
    state.initialize(to: State(lastHeard: came))
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
  }

  private var context: ChannelHandlerContext? {
    get { state.pointee.context }
    set { state.pointee.context = newValue }
  }

  /// Nil before it is taken in and after it was refused.
  private(set) var connection: ConnectionID? {
    get { state.pointee.connection }
    set { state.pointee.connection = newValue }
  }

  /// What the broker has not taken: the beginning of a frame, or requests that wait until answers have left.
  private var partial: ByteBuffer? {
    _read { yield state.pointee.partial }
    _modify { yield &state.pointee.partial }
  }

  /// Whether `partial` is to be given to the broker again when answers have left.
  private var isHeldUp: Bool {
    get { state.pointee.isHeldUp }
    set { state.pointee.isHeldUp = newValue }
  }

  private var hasSpoken: Bool {
    get { state.pointee.hasSpoken }
    set { state.pointee.hasSpoken = newValue }
  }

  private var lastHeard: NIODeadline {
    get { state.pointee.lastHeard }
    set { state.pointee.lastHeard = newValue }
  }

  /// Since when nothing could be sent, and how much was waiting then.
  private var stuck: (since: NIODeadline, bytes: Int)? {
    get { state.pointee.stuck }
    set { state.pointee.stuck = newValue }
  }

  // MARK: Pipeline

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if context.channel.isActive { takeIn(context) }
  }

  func channelActive(context: ChannelHandlerContext) {
    takeIn(context)
    context.fireChannelActive()
  }

  private func takeIn(_ context: ChannelHandlerContext) {
    guard connection == nil else { return }
    peerName = context.remoteAddress.map { "\($0)" } ?? "unknown"
    switch loop.connect(self) {
    case .success(let connection): self.connection = connection
    case .failure(let refusal):
      var writer = MessageWriter()
      ResponseEncoder.encodeGoodbye(refusal.code, retryAfterMilliseconds: 1_000, into: &writer)
      writer.withBytes { send($0) }
      // Who has not read it when the socket closes may not get it; but in a flood those who wait to be closed must not take all files.
      isRefused = loop.keepsRefused
      loop.refused += isRefused ? 1 : 0
      if isRefused { close() } else { abort() }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if let connection {
      self.connection = nil
      loop.disconnect(connection)
    }
    if isRefused { loop.refused -= 1 }
    isRefused = false
    partial = nil
    state.pointee.unsent = 0
    forgetTaken(0)
    count()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset by the peer, mostly: the channel is of no use any more, and `channelInactive` tells the broker.
    context.close(promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let connection else { return }
    var bytes = unwrapInboundIn(data)
    lastHeard = loop.heard(bytes.readableBytes)
    if partial != nil {
      partial?.writeBuffer(&bytes)
      if var joined = partial.take() {
        take(&joined, from: connection)
        keep(joined, of: connection)
      }
    } else {
      take(&bytes, from: connection)
      if bytes.readableBytes > 0 { keep(bytes, of: connection) }
    }
  }

  private func take(_ bytes: inout ByteBuffer, from connection: ConnectionID) {
    let used = bytes.withUnsafeReadableBytes { loop.receive($0, from: connection) }
    bytes.moveReaderIndex(forwardBy: used)
    if used > 0 { hasSpoken = true }
  }

  /// Keeps the beginning of a frame until its rest arrives, and requests until the broker takes more.
  private func keep(_ bytes: ByteBuffer, of connection: ConnectionID) {
    if bytes.readableBytes == 0 {
      partial = nil
    } else {
      var kept = bytes
      // A frame's beginning at the end of a large read must not keep the whole read alive.
      if kept.readerIndex > 0 { kept = ByteBuffer(bytes: kept.readableBytesView) }
      partial = kept
    }
    let wasHeldUp = isHeldUp
    isHeldUp = partial != nil && loop.leftRequests
    if isHeldUp != wasHeldUp { setReading() }
    count()
    // What it waits for may have happened already: a turn that ended early has let its answers out.
    if isHeldUp, !loop.holdsUpAll(self), !loop.isHeldUp(connection) { resume() }
  }

  /// Tells the loop how much is kept for this connection now.
  private func count() {
    let change = (partial?.readableBytes ?? 0) + state.pointee.bufferedAnswers - counted
    guard change != 0 else { return }
    counted += change
    loop.buffer(change)
  }

  /// Looks how much of what was sent the socket has not taken.
  private func look(_ context: ChannelHandlerContext) {
    let unsent = unsentBytes(context)
    state.pointee.unsent = unsent
    state.pointee.sentSinceLook = 0
    forgetTaken(unsent)
    count()
  }

  /// Takes note that the socket has taken all answers but this many bytes.
  private func forgetTaken(_ unsent: Int) {
    // Small answers are not noted when they are sent; together they are less than a look's distance.
    if unsent > state.pointee.bufferedAnswers { note(unsent - state.pointee.bufferedAnswers) }
    var taken = 0
    for size in state.pointee.buffers {
      guard unsent == 0 || state.pointee.bufferedAnswers - size >= unsent else { break }
      state.pointee.bufferedAnswers -= size
      taken += 1
    }
    state.pointee.buffers.removeFirst(taken)
  }

  private func note(_ size: Int) {
    state.pointee.buffers.append(size)
    state.pointee.bufferedAnswers += size
  }

  /// Gives up what is kept for the connection, and with it the connection: all connections together keep too much, and this one the most. The reason.
  func shed() -> ErrorCode {
    guard state.pointee.bufferedAnswers <= partial?.readableBytes ?? 0 else {
      if let connection { loop.end(connection, .slowReader) }
      abort()
      state.pointee.unsent = 0
      forgetTaken(0)
      count()
      return .slowReader
    }
    partial = nil
    isHeldUp = false
    count()
    if let connection { loop.end(connection, .memoryFull) }
    return .memoryFull
  }

  /// Gives the broker what it did not take before. Not at once: it may be in the middle of letting answers out.
  private func resume(_ context: ChannelHandlerContext) {
    context.eventLoop.assumeIsolated().execute {
      guard self.isHeldUp, let connection = self.connection, var kept = self.partial.take() else { return }
      self.take(&kept, from: connection)
      self.keep(kept, of: connection)
    }
  }

  /// Who does not read is not read from: what it would ask for has nowhere to go.
  private func setReading() {
    guard let channel = context?.channel else { return }
    try? channel.syncOptions?.setOption(.autoRead, value: channel.isWritable && !isHeldUp)
  }

  // MARK: From the broker

  func send(_ bytes: BorrowedBytes) {
    guard let context, bytes.count > 0 else { return }
    context.writeAndFlush(wrapOutboundOut(loop.outgoing(bytes)), promise: nil)
    state.pointee.sentSinceLook += bytes.count
    if state.pointee.unsent > 0 || bytes.count > Self.unlookedBytes { note(bytes.count) }
    if state.pointee.unsent > 0 || state.pointee.sentSinceLook > Self.unlookedBytes { look(context) }
    if stuck == nil {
      if isHeldUp { resume(context) }
    } else if state.pointee.unsent > Self.unsentLimit {
      // Many waiting dequeues can be answered at once; a connection that reads none of them must not keep all of it in memory.
      context.eventLoop.assumeIsolated().execute {
        if let connection = self.connection { self.loop.end(connection, .slowReader) }
        self.abort()
      }
    }
  }

  /// Bytes that may wait for a client that does not read, before it is closed.
  private static let unsentLimit = 64 << 20

  /// Bytes that may be handed to a socket before it is asked whether it took them.
  private static let unlookedBytes = 16 << 10

  /// Gives the broker again what it did not take because of what all connections were owed.
  func resume() {
    if let context, isHeldUp, stuck == nil { resume(context) }
  }

  /// Closes when everything that was sent has left.
  func close() {
    guard let context else { return }
    // The closing of the writing half leaves behind what was written; the channel goes when the peer has seen it, or soon.
    context.close(mode: .output, promise: nil)
    let channel = context.channel
    context.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(mode: .all, promise: nil) }
  }

  /// Closes at once.
  func abort() { context?.close(promise: nil) }

  // MARK: Limits

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    let isWritable = context.channel.isWritable
    setReading()
    if isHeldUp, isWritable { resume(context) }
    look(context)
    stuck = isWritable ? nil : (loop.eventLoop.now, state.pointee.unsent)
    context.fireChannelWritabilityChanged()
  }

  private func unsentBytes(_ context: ChannelHandlerContext) -> Int {
    (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
  }

  /// Whether the connection has broken a rule of time (Protocol.md, "Life of a connection").
  func overdue(now: NIODeadline, isWaiting: Bool) -> ErrorCode? {
    guard let context else { return nil }
    if state.pointee.unsent > 0 { look(context) }
    if let stuck {
      let unsent = state.pointee.unsent
      if unsent < stuck.bytes {
        self.stuck = (now, unsent)
      } else if now - stuck.since > .seconds(30) {
        return .slowReader
      }
      return nil
    }
    // From its coming, not from its last byte: half a hello does not buy time.
    // Unless it is the broker that takes nothing.
    if !hasSpoken { return now - came > .seconds(10) && !isHeldUp ? .idleTimeout : nil }
    return !isWaiting && now - lastHeard > .minutes(10) ? .idleTimeout : nil
  }
}

extension Optional where Wrapped == ByteBuffer {
  /// Takes the buffer out, so that it can be changed without being copied.
  fileprivate mutating func take() -> ByteBuffer? {
    defer { self = nil }
    return self
  }
}
