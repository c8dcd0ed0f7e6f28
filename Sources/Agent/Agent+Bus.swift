import Configuration
import Glibc
import Host
import Logging
import Systemd
import UpdateCore

/// Carries out the actions that callers request on the bus.
extension Agent {
    func busProperties() -> BusProperties {
        var shown = state
        if let error = ownError { shown.note(error) }
        return BusProperties(
            shown, context(), status: statusLine(), hasError: ownError != nil, progress: progress,
            speedLimit: speedLimit ?? settings.download.speedLimit,
            installsAtBoot: state.installsAtBoot && !hasInstalledAtBoot)
    }

    /// - Parameter caller: the process that called, which is authorized.
    func carryOut(_ action: BusAction, _ call: BusCall, _ caller: Caller) {
        let member = call.member
        lastUse = Clock.bootTime
        switch action {
        case .command(let command):
            if let refusal = refusal(of: command, state, context()) {
                return call.refuse(BusInterface.error(refusal), refusal.description)
            }
            logger.info("\(member) by \(caller)")
            handle(.command(command))
            call.reply()
        case .installFile(let path):
            logger.info("\(member) by \(caller)")
            install(.path(path), call)
        case .installDescriptors:
            logger.info("\(member) by \(caller)")
            let files = call.files(named: ["the artifact", "the signature"])
            guard files.count == 2 else { return call.refuse(.limitsExceeded, "the agent has too many open files") }
            install(.handedOver(artifact: files[0], signature: files[1]), call)
        case .inhibit(let inhibitor): inhibit(inhibitor, call, caller)
        case .setSpeedLimit(let bytesPerSecond):
            speedLimit = bytesPerSecond
            tellDownload(.limitSpeed(bytesPerSecond))
            logger.info(
                "\(member) by \(caller): the speed limit is \(bytesPerSecond == 0 ? "lifted" : describe(configuredSize: bytesPerSecond) + "/s")"
            )
            call.reply()
            refresh()
        }
    }

    /// Copies, verifies and offers a local file.
    private func install(_ file: LocalFile, _ call: BusCall) {
        if let refusal = refusalOfFile(state) {
            return call.refuse(BusInterface.error(refusal), refusal.description)
        }
        // A worker may wait for a file for long, and writes to the directory of downloads.
        guard !isAdopting else {
            return call.refuse(.limitsExceeded, "another file is being verified; try again later")
        }
        if let reason = lostDownloadDirectory() {
            return call.refuse(.notNow, "\(reason); try again")
        }
        isAdopting = true
        logger.notice("Asked to install \(file.name)")
        var result: AdoptResult?
        FetchWorker(installation).start(
            .adopt(settings.adoptJob(file)), passing: file.handedOver, timeLimit: settings.download.timeout
        ) { report in
            if case .adopted(let value) = report { result = value }
        } onEnd: { [self] end in
            isAdopting = false
            switch result ?? .refused("the worker failed: \(end)") {
            case .verified(let offer, let artifact):
                if let refusal = refusal(of: offer, state, context()) {
                    call.refuse(.refused, "\(refusal)")
                } else {
                    call.reply([.number(offer.versionCode)])
                }
                handle(.fileOffered(offer, artifact))
            case .refused(let reason):
                logger.warning("\(file.name) is not installed: \(reason)")
                call.refuse(.refused, reason)
            }
        }
    }

    // MARK: inhibitors

    /// The caller receives one end of a pipe. The inhibitor is active while that end is open.
    private func inhibit(_ inhibitor: Inhibitor, _ call: BusCall, _ caller: Caller) {
        guard inhibitors.count < BusInterface.maximumInhibitors else {
            return call.refuse(.limitsExceeded, "there are too many inhibitors already")
        }
        guard let ends = try? Pipe.make() else {
            return call.refuse(.limitsExceeded, "the agent has too many open files")
        }
        let reading = ends.reading
        let id = nextInhibitor
        nextInhibitor += 1
        let watch = DescriptorWatch(reading, release: { close(reading) })
        watch.whenReadable { [weak self] in self?.release(id) }
        inhibitors.append(ActiveInhibitor(id: id, inhibitor: inhibitor, watch: watch, descriptor: reading))
        logger.info("Inhibited by \(inhibitor.line), \(caller)")
        call.reply([.descriptor(ends.writing)])
        close(ends.writing)
        handle(.tick)
    }

    private func release(_ id: Int) {
        guard let index = inhibitors.firstIndex(where: { $0.id == id }) else { return }
        let released = inhibitors[index]
        var bytes = [UInt8](repeating: 0, count: 256)
        // Bytes on the pipe are ignored; its end releases the inhibitor.
        var count = 0
        repeat {
            count = read(released.descriptor, &bytes, bytes.count)
        } while count > 0 || (count < 0 && errno == EINTR)
        if count < 0, errno == EAGAIN { return }
        inhibitors.remove(at: index)
        lastUse = Clock.bootTime
        released.watch.cancel()
        logger.info("No longer inhibited by \(released.inhibitor.line)")
        handle(.tick)
    }
}

/// An inhibitor, and the end of the pipe that the agent watches; the caller holds the other end.
struct ActiveInhibitor {
    let id: Int
    let inhibitor: Inhibitor
    let watch: DescriptorWatch
    let descriptor: CInt
}
