import NuvomWAL

// FORMAT.md's rules, by comparing with what was written: slow, obvious, and without the code that is being tried.

extension Specimen {
  /// How a start must find the log when segment `index` has these bytes instead of its own.
  func expected(_ index: Int, _ bytes: [UInt8]) -> Finding {
    let segment = segments[index]
    let isWhole = { (range: Range<Int>) in
      range.upperBound <= bytes.count && bytes[range].elementsEqual(segment.bytes[range])
    }
    guard isWhole(0..<SegmentHeader.size) else { return .refused(segment.name, offset: 0) }
    let good = segment.places.firstIndex { !isWhole($0.range) } ?? segment.places.count
    let offset = good < segment.places.count ? segment.places[good].range.lowerBound : segment.end
    let wanted = segment.firstSequence + UInt64(good)
    let isNothingHere = bytes.count - offset < 8 || bytes[offset..<offset + 8].allSatisfy { $0 == 0 }
    guard index == segments.count - 1 else {
      // A further segment follows: all must be there, and nothing else.
      let isEnded = good == segment.places.count && isNothingHere
      return isEnded ? .intact(segments[segments.count - 1].next - 1) : .refused(segment.name, offset: offset)
    }
    // Headers of batches that are due here or later, and intact though their bodies may not be.
    let headers = segment.places[good...].filter {
      isWhole($0.range.lowerBound..<$0.range.lowerBound + BatchHeader.size)
    }
    let covered = snapshot?.sequence ?? 0
    if isNothingHere, headers.isEmpty {
      return wanted > covered ? .intact(wanted - 1) : .refused(segment.name, offset: offset)
    }
    let mark = max(covered, headers.map(\.durable).max() ?? 0)
    let isBehindSeal = good > 0 && segment.places[good - 1].kind == .seal
    return mark >= wanted || isBehindSeal ? .refused(segment.name, offset: offset) : .torn(wanted - 1, offset: offset)
  }
}
