public import NuvomModel

/// What the next bytes of a connection are.
@frozen
public enum FrameScan {
  /// A whole frame: its MessagePack value, inside the bytes that were given, and how many of these it took (its length too).
  case frame(BorrowedBytes, consumed: Int)
  /// The frame is not here yet. Nothing was consumed: give the same bytes again when there are more.
  case incomplete
  /// No frame can begin like this; the connection cannot go on. Known from the length alone, before the body arrives.
  case refused(ErrorCode)
}

/// Finds the frames in what a connection received.
public enum FrameScanner {
  /// Looks at the first frame of `bytes`. Copies and keeps nothing.
  ///
  /// - Parameter maximumBytes: how long a frame may be behind its length: `ProtocolLimits.frameBytesBeforeHello` or
  ///   `ProtocolLimits.frameBytes`.
  @inlinable
  public static func next(in bytes: BorrowedBytes, maximumBytes: Int) -> FrameScan {
    guard bytes.count >= 4 else { return .incomplete }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    guard length <= maximumBytes else { return .refused(.frameTooLarge) }
    guard length > 0 else { return .refused(.malformedFrame) }
    guard bytes.count - 4 >= length else { return .incomplete }
    return .frame(BorrowedBytes(rebasing: bytes[4..<4 + length]), consumed: 4 + length)
  }
}
