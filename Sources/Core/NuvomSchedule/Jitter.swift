/// How much later than due a schedule fires, in milliseconds: 0 up to, not including, the window; 0 if there is no window.
///
/// The same for the same name for ever, on every machine, and spread evenly over names: so a thousand schedules that are due at midnight do not all fire
/// at once, and each of them still has its time.
public func jitter(of name: UnsafeRawBufferPointer, windowMilliseconds: UInt64) -> UInt64 {
  // FNV-1a leaves its upper bits nearly alike for names that differ in their last byte: they are mixed (as SplitMix64 does) before they count.
  var bits = fnv1a(name)
  bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
  bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
  bits ^= bits >> 31
  return bits.multipliedFullWidth(by: windowMilliseconds).high
}

/// The hash FNV-1a of 64 bits.
func fnv1a(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
  return hash
}
