import BrokerProcess
import MessagePack

/// What one hostile connection does.
struct Stranger {
  /// What follows when it has been answered once, or was sent away.
  enum Sequel {
    /// It stays as long as it may.
    case stay
    /// It closes, and comes again as often as the broker lets it.
    case comeAgain
    /// It closes and resets what is under way, and does not come again.
    case reset
    /// It says that it will send nothing more, and stays.
    case halfClose
  }

  /// Sent when it is connected.
  var opening: [UInt8]
  /// Sent after that, a byte at a time.
  var drip: [UInt8] = []
  /// Seconds between two of these bytes.
  var dripSeconds = 10.0
  /// Whether it ever takes what the broker sends.
  var isReading = true
  /// Whether the broker is to answer before the attack counts as complete, or to send it away.
  var awaitsAnswer = true
  /// Responses after which the sequel comes.
  var answersAwaited = 1
  var sequel = Sequel.stay

  /// A request's frame.
  static func request(_ id: UInt64, _ method: String, _ params: MessageValue = [:]) throws -> [UInt8] {
    RawConnection.frame(try ([0, .uint(id), .string(method), params] as MessageValue).encoded())
  }

  static func hello(version: UInt64 = 1) throws -> [UInt8] { try request(0, "hello", ["version": .uint(version)]) }
}

/// An attack that is made of connections: who number `index` is, and how many there are.
struct Crowd {
  let count: Int
  let stranger: (_ index: Int) throws -> Stranger
}

extension Crowd {
  /// Greeted, then silent.
  static func idle(_ count: Int) -> Crowd {
    Crowd(count: count) { _ in Stranger(opening: try Stranger.hello()) }
  }

  /// Comes and goes as fast as it can: greeted and closed, connected and closed, greeted and reset.
  static func churn(_ count: Int) -> Crowd {
    Crowd(count: count) { index in
      switch index % 2 {
      case 0: Stranger(opening: try Stranger.hello(), sequel: .comeAgain)
      default: Stranger(opening: [], awaitsAnswer: false, sequel: .comeAgain)
      }
    }
  }

  /// A byte every ten seconds. Every other one before hello: it has no more than ten seconds. The others drip a ping, whose last byte comes with the second drop.
  static func drip(_ count: Int) -> Crowd {
    Crowd(count: count) { index in
      if index % 2 == 0 { return Stranger(opening: [], drip: try Stranger.hello(), awaitsAnswer: false) }
      let ping = try Stranger.request(1, "ping")
      return Stranger(opening: try Stranger.hello() + ping.dropLast(2), drip: ping.suffix(2))
    }
  }

  /// Takes ten jobs of the queue `held` and settles none: a third stays connected, a third resets its connection, a third closes its half.
  static func holders(_ count: Int, leaseMilliseconds: UInt64) -> Crowd {
    Crowd(count: count) { index in
      let dequeue = try Stranger.request(
        1, "dequeue", ["queues": ["held"], "max": 10, "lease_ms": .uint(leaseMilliseconds)])
      let sequel: Stranger.Sequel =
        switch index % 3 {
        case 0: .stay
        case 1: .reset
        default: .halfClose
        }
      return Stranger(opening: try Stranger.hello() + dequeue, answersAwaited: 2, sequel: sequel)
    }
  }

  /// Asks for a large job over and over, and takes no answer.
  static func neverReads(_ count: Int, job: UInt64) -> Crowd {
    Crowd(count: count) { _ in
      var opening = try Stranger.hello()
      for id in 1...32 as ClosedRange<UInt64> { opening += try Stranger.request(id, "get", ["id": .uint(job)]) }
      return Stranger(opening: opening, isReading: false, awaitsAnswer: false)
    }
  }

  /// Sends most of the largest frame, and no more.
  static func halfFrames(_ count: Int) -> Crowd {
    Crowd(count: count) { _ in
      let body = [UInt8](repeating: 0xc6, count: 15 << 20)
      return Stranger(opening: try Stranger.hello() + [1, 0, 0, 0] + body, awaitsAnswer: false)
    }
  }

  /// Announces what never comes: lengths, depths, elements.
  static func bombs(_ count: Int) -> Crowd {
    Crowd(count: count) { index in
      let head: [UInt8] = [1, 0, 0, 0]
      switch index % 8 {
      // 16 MiB announced, and nothing.
      case 0: return Stranger(opening: try Stranger.hello() + head)
      // 16 MiB announced, and a byte at a time.
      case 1:
        return Stranger(
          opening: try Stranger.hello() + head, drip: [UInt8](repeating: 0x91, count: 4_096), dripSeconds: 0.2)
      // A frame's worth of containers in containers.
      case 2:
        return bomb(try Stranger.hello() + RawConnection.frame([0x94, 0, 1] + [UInt8](repeating: 0x91, count: 4_000)))
      // Four billion elements, pairs, bytes of text, of data.
      case 3: return bomb(try Stranger.hello() + RawConnection.frame([0xdd, 0xff, 0xff, 0xff, 0xff]))
      case 4: return bomb(try Stranger.hello() + RawConnection.frame([0xdf, 0xff, 0xff, 0xff, 0xff]))
      case 5: return bomb(try Stranger.hello() + RawConnection.frame([0xc6, 0xff, 0xff, 0xff, 0xff]))
      // Longer than any frame; longer than a first one.
      case 6: return bomb(try Stranger.hello() + [0xff, 0xff, 0xff, 0xff])
      default: return Stranger(opening: [0, 0, 0x10, 1], sequel: .comeAgain)
      }
    }
  }

  private static func bomb(_ bytes: [UInt8]) -> Stranger {
    Stranger(opening: bytes, answersAwaited: 2, sequel: .comeAgain)
  }

  /// Speaks something else, or the protocol wrongly.
  static func noise(_ count: Int, seed: UInt64) -> Crowd {
    Crowd(count: count) { index in
      switch index % 6 {
      case 0: return Stranger(opening: [UInt8]("GET / HTTP/1.1\r\nHost: nuvom\r\n\r\n".utf8), sequel: .comeAgain)
      case 1: return Stranger(opening: try Stranger.hello(version: 99), answersAwaited: 2, sequel: .comeAgain)
      case 2: return Stranger(opening: try Array(Stranger.hello().dropLast()), awaitsAnswer: false, sequel: .comeAgain)
      case 3: return Stranger(opening: try Stranger.request(1, "ping"), answersAwaited: 2, sequel: .comeAgain)
      case 4: return Stranger(opening: [0, 0, 0, 0], sequel: .comeAgain)
      default:
        var state = seed &+ UInt64(index)
        let bytes = (0..<512).map { _ in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return UInt8(truncatingIfNeeded: state >> 56)
        }
        return Stranger(opening: RawConnection.frame(bytes), sequel: .comeAgain)
      }
    }
  }
}
