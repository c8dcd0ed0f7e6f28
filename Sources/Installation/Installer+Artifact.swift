import Host
import UpdateCore
import Verification

/// The artifact that the installer has taken over, with its lease, until the module has used it.
@MainActor final class HeldArtifact {
    var artifact: AdoptedArtifact?
}

/// Takes the artifact over from the agent, and gives it back.
extension Installer {
    func prepare(
        _ job: InstallJob, _ artifact: OpenFile, _ settings: InstallSettings,
        then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        do {
            giveBackArtifact()
            try tree.create(for: job, settings, installed: surroundings.installedVersion())
        } catch {
            return done(prepareFailed(error))
        }
        let copy: @MainActor (String?) -> Void = { reason in
            if let reason {
                log("the artifact is copied: \(reason)")
                held.artifact = nil
                try? tree.noteStaged(nil)
            }
            verify(.copy(artifact, to: tree.artifactPath(settings)), job, then: done)
        }
        guard let directory = settings.stagingDirectory else { return copy(nil) }
        let place = StagedArtifact(
            directory: directory, name: Artifact.stagedName(versionCode: job.offer.versionCode),
            adoptedName: settings.fileName)
        let adopted: AdoptedArtifact
        do {
            try tree.noteStaged(place)
            adopted = try AdoptedArtifact(artifact, place, into: Directory(tree.filesPath))
        } catch {
            return copy("\(error)")
        }
        held.artifact = adopted
        verify(.inPlace(adopted.file, cached: settings.keepCache), job) { outcome in
            guard case .verified = outcome else { return done(outcome) }
            do {
                try adopted.separate()
                done(outcome)
            } catch {
                copy("\(error)")
            }
        }
    }

    /// Verifies a part at a time: a request to stop does not wait for a large artifact.
    private func verify(
        _ source: ArtifactSource, _ job: InstallJob, then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        do {
            verify(try surroundings.verify(source, job), then: done)
        } catch {
            done(prepareFailed(error))
        }
    }

    private func verify(_ reading: ArtifactReading, then done: @escaping @MainActor (StepOutcome) -> Void) {
        guard !surroundings.stop.isMade else {
            reading.discard()
            return done(.stopped)
        }
        do {
            if let verified = try reading.next() { return done(.verified(minVersionCode: verified.minVersionCode)) }
            MainQueue.soon { verify(reading, then: done) }
        } catch {
            done(prepareFailed(error))
        }
    }

    /// Nothing began that could be rolled back.
    private func prepareFailed(_ error: any Error) -> StepOutcome {
        held.artifact = nil
        let failure = error as? VerificationFailure
        if failure != nil { discardArtifact() } else { giveBackArtifact() }
        try? tree.remove()
        if let failure { return .failed("\(failure)", code: failure.code) }
        guard let error = error as? SystemError else { return .failed("\(error)") }
        if error.isBusy { return .failed("\(error): something is mounted there; unmount it") }
        // A full or failing disk does not count as a failure of the version.
        return .noSpace("\(error)")
    }

    // MARK: while the module uses it

    /// Runs a state of the module that reads the artifact, and has the lease on the artifact meanwhile: a call that opens it for
    /// writing, and that began before the artifact was taken over, must not go unnoticed.
    func hold(
        _ job: InstallJob, _ settings: InstallSettings, during state: ModuleState,
        then done: @escaping @MainActor (StepOutcome) -> Void,
        run: @escaping @MainActor (@escaping @MainActor (StepOutcome) -> Void) -> Void
    ) {
        let runHeld: @MainActor () -> Void = {
            run { outcome in
                let isDisturbed = held.artifact.map { !$0.isUndisturbed } ?? false
                if state == .install || outcome != .succeeded { held.artifact = nil }
                guard isDisturbed, outcome == .succeeded else { return done(outcome) }
                done(.failed("another process opened the artifact for writing", code: .signatureInvalid))
            }
        }
        guard held.artifact == nil, let place = tree.staged, Files.exists(tree.artifactPath(settings)) else {
            return runHeld()
        }
        // An installer that was stopped had taken it over, and verified it.
        do {
            let adopted = try AdoptedArtifact(again: place, in: Directory(tree.filesPath))
            held.artifact = adopted
            let reading = try surroundings.verify(.inPlace(adopted.file, cached: settings.keepCache), job)
            verify(again: reading, then: done, runHeld)
        } catch {
            held.artifact = nil
            done(.failed("\(error)"))
        }
    }

    private func verify(
        again reading: ArtifactReading, then done: @escaping @MainActor (StepOutcome) -> Void,
        _ run: @escaping @MainActor () -> Void
    ) {
        guard !surroundings.stop.isMade else { return done(.stopped) }
        do {
            guard try reading.next() == nil else { return run() }
            MainQueue.soon { verify(again: reading, then: done, run) }
        } catch {
            held.artifact = nil
            done(.failed("\(error)"))
        }
    }

    // MARK: its return

    /// Gives the agent what was taken over, if the module has not used it up: another attempt needs no download.
    func giveBackArtifact() {
        held.artifact = nil
        guard let place = tree.staged else { return }
        do {
            switch try place.giveBack(from: Directory(tree.filesPath)) {
            case .returned?: log("the artifact is back in \(place.directory)")
            case .lost(let reason)?: log("the artifact is removed, and must be downloaded again: \(reason)")
            case nil: break
            }
        } catch {
            log("the artifact is removed, and must be downloaded again: \(error)")
        }
    }

    /// Removes an artifact that is not what was signed, so that it is downloaded again.
    private func discardArtifact() {
        guard let place = tree.staged else { return }
        do {
            try place.discard(from: Directory(tree.filesPath))
            log("the artifact is removed, because it is not what was signed")
        } catch {
            log("the artifact stays in \(place.directory): \(error)")
        }
    }
}
