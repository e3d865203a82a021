// `EpollBroker PORT`: the broker behind bare epoll instead of SwiftNIO, on loopback, without a log.
//
// A measurement and no transport to use: it answers what a leaner transport behind the same seam would bring (Benchmarks/parts/transport.py).
// From the broker down everything is what ships, and so are the links beside this file: clock and memory. It lacks what a server needs beyond
// moving bytes: TLS, names and IPv6, limits of time (no hello, silence, a peer that never leaves) and of memory for partial frames, an answer to
// connections beyond the limit, draining on SIGTERM, logging.

import Glibc
import NuvomBroker
import NuvomEngine

private func fail(_ text: String) -> Never {
  var line = "EpollBroker: \(text)\n"
  line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  exit(1)
}

guard CommandLine.arguments.count == 2, let port = UInt16(CommandLine.arguments[1]) else { fail("takes a port") }
do {
  let transport = try EpollTransport(port: port)
  let engine = Engine(
    EngineConfiguration(
      memoryLimit: 1 << 30, isLogged: false, hashSeed: .random(in: .min ... .max), blocks: PreparedBlocks()),
    now: systemTime())
  engine.resume(at: systemTime())
  let broker = Broker(
    engine: engine, storage: nil, configuration: BrokerConfiguration(server: "nuvom/epoll", fsync: "ephemeral"),
    transport: transport, clock: systemTime, notify: { _ in })
  try transport.run(broker)
} catch {
  fail("\(error)")
}
