import CPlatform
import Glibc

/// What a broker or a worker asks of the process that it lives in.
enum ProcessLimits {
  /// Writing to a process that does not read any more must come back as an error of the write.
  static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

  /// For a broker. Call once, before threads are started.
  static func prepare() {
    // Large payloads have memory of their own. Left to itself, malloc raises its threshold for mmap when the first large block is freed and takes the
    // later ones from its heap, which shrinks at its end only: memory of jobs that are gone would never return to the system. Setting
    // the threshold also ends its raising.
    nuvom_return_blocks(512 << 10)
    // A limit on the size of files must come back as an error of the write, which is answered for, and not end the process without a word.
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Raises the number of open files to what the system allows; gives that number, or the highest if the system does not tell.
  static func raiseOpenFiles() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return .max }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(resource, &limit)
    guard getrlimit(resource, &limit) == 0 else { return .max }
    return Int(clamping: limit.rlim_cur)
  }
}
