import NuvomEngine
import NuvomModel

extension Piece {
  static let schedules = [
    Piece("schedule-define", "a turn with the definition of a new schedule by cron") {
      let core = try Core()
      let name = Bytes(Array("schedule-00000000".utf8))
      let cron = Bytes(Array("0 9 * * mon-fri".utf8))
      let number = Place(0)
      let request = Place(Request())
      let zone = try core.takeUTC()
      return { count in
        for _ in 0..<count {
          number.pointer.pointee += 1
          for place in 0..<8 {
            name.mutable[16 - place] = UInt8(ascii: "a") + UInt8(number.pointer.pointee >> (2 * place) & 3)
          }
          core.prepareSchedule(
            &request.pointer.pointee, name: name, .cron(cron.borrowed, zone: zone.borrowed, .shift, .first))
          core.inTurn { core.handle(request) }
          core.forgetOutcome()
        }
        try expect(core.engine.statistics().schedules == number.pointer.pointee, "a schedule was refused")
      }
    },
    Piece("schedule-fire", "a turn with the fire of a schedule that is due by cron in each second") {
      let core = try Core()
      let cron = Bytes(Array("* * * * * *".utf8))
      let request = Place(Request())
      let zone = try core.takeUTC()
      core.prepareSchedule(
        &request.pointer.pointee, name: Bytes(Array("each second".utf8)),
        .cron(cron.borrowed, zone: zone.borrowed, .shift, .first))
      core.inTurn { core.handle(request) }
      core.forgetOutcome()
      // Off the ticks of the timers: each second's fire is in its turn.
      core.beginTurn(after: 500)
      core.endTurn()
      let fires = Place<UInt64>(0)
      return { count in
        for _ in 0..<count {
          core.beginTurn(after: 1_000_000)
          _ = core.engine.fireTimers(limit: 128, into: &core.outcome.pointer.pointee)
          core.endTurn()
          fires.pointer.pointee += 1
        }
        try expect(core.engine.statistics().scheduleTotals.fired == fires.pointer.pointee, "a second has not one fire")
      }
    },
  ]
}
