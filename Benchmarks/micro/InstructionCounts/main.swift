import Glibc
import Pieces

// Does one piece of work, so many times, and nothing else: for `instructions.py`, which runs it under valgrind. Without arguments it lists the
// pieces, one a line: name, lower and upper number of repetitions, what it is.

func fail(_ message: String) -> Never {
  print("instruction-counts: \(message)")
  exit(2)
}

let arguments = CommandLine.arguments.dropFirst()
if arguments.isEmpty {
  for piece in Piece.all {
    print(piece.name, piece.repetitions.lowerBound, piece.repetitions.upperBound, piece.summary, separator: "\t")
  }
} else {
  guard arguments.count == 2, let name = arguments.first, let count = arguments.last.flatMap({ Int($0) }), count > 0
  else { fail("usage: instruction-counts [NAME REPETITIONS]") }
  guard let piece = Piece.all.first(where: { $0.name == name }) else { fail("there is no piece \(name)") }
  do {
    let run = try piece.prepare()
    try run(count)
  } catch {
    fail("\(name): \(error)")
  }
}
