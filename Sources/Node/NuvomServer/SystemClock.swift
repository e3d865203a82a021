import Glibc
import NuvomModel

/// Both clocks of the machine, now.
func systemTime() -> Time {
  Time(boot: microseconds(CLOCK_BOOTTIME), wall: microseconds(CLOCK_REALTIME))
}

private func microseconds(_ clock: clockid_t) -> Int64 {
  var time = timespec()
  clock_gettime(clock, &time)
  return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}
