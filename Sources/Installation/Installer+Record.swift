import Host
import UpdateCore

/// The record of an installation, and the count of attempts, on disk.
extension Installer {
    func load() throws -> InstallRecord? {
        do {
            guard
                let found = try StoredFile.read(InstallRecord.self, from: recordPath, limit: maximumMessageBytes)
            else { return try recoverLost() }
            if !found.unreadable.isEmpty {
                let fields = found.unreadable.joined(separator: ", ").sanitized(limit: 300)
                surroundings.report(.output("\(recordPath): fields that this version cannot read: \(fields)"))
            }
            return found.value
        } catch let error as SystemError where error.isShortage {
            // It is not the record's fault.
            throw error
        } catch {
            return try recover(error)
        }
    }

    /// Starts a rollback if the record is missing, and the file tree has the note of an installation that began. Trees without a
    /// note are those of 0.1.0, which did not remove them before the record.
    ///
    /// - Returns: the new record; nil if there is nothing to roll back.
    private func recoverLost() throws -> InstallRecord? {
        guard tree.hasNote, let (job, module) = tree.installation() else { return nil }
        surroundings.report(.output("\(recordPath) is missing"))
        return try beginRollback(job, module)
    }

    /// Sets an unreadable record aside for the operator. If the file tree still names the installation, the new record starts
    /// a rollback.
    ///
    /// - Returns: the new record; nil if there is nothing to roll back.
    private func recover(_ error: any Error) throws -> InstallRecord? {
        let damaged = recordPath + ".damaged"
        let line = "\(recordPath) was damaged and is set aside as \(damaged)"
        surroundings.report(.output("\(line) (\("\(error)".sanitized(limit: 200)))"))
        guard let (job, module) = tree.installation() else {
            try Files.setAside(recordPath)
            return nil
        }
        // A copy for the operator, if possible. The record itself stays until the new one replaces it: without either, only the
        // tree's note would be left. A directory is moved, because no file can replace it.
        try? Files.removeTree(damaged)
        do throws(SystemError) { try Files.link(recordPath, as: damaged) } catch { try? Files.setAside(recordPath) }
        return try beginRollback(job, module)
    }

    private func beginRollback(_ job: InstallJob, _ module: String) throws -> InstallRecord {
        var record = InstallRecord(recovering: job, module: module, bootID: bootID)
        // A disk that fails must not prevent the rollback.
        record.attempts = try attempts(nil, isRequired: false)
        record.floor = try floor(nil, isRequired: false)
        // Counted when it began, unless that count is lost too.
        if !record.attempts.versions.contains(where: { $0.versionCode == job.offer.versionCode }) {
            record.attempts.countAttempt(at: job.offer.versionCode)
        }
        try store(record)
        return record
    }

    func store(_ record: InstallRecord) throws {
        // The record first: a count that is stored before its step would count an installation that never began.
        try write(record, to: recordPath)
        do {
            try storeCounts(record.attempts, record.floor)
        } catch {
            // The step that the record names must not be lost for a copy; the next record brings the next try.
            surroundings.report(
                .output(
                    "the copies of the counts in \(recordPath) were not stored: \("\(error)".sanitized(limit: 200))"))
        }
    }

    /// Stores the copies of what the record has too.
    func storeCounts(_ attempts: InstallAttempts, _ floor: VersionFloor) throws {
        try replace(attemptsPath, with: attempts, insteadOfNone: InstallAttempts())
        try replace(floorPath, with: floor, insteadOfNone: VersionFloor())
    }

    /// Replaces a file that has another value, or cannot be read.
    ///
    /// - Parameter none: the value of a file that does not exist.
    private func replace<Value: Codable & Equatable & Sendable>(
        _ path: String, with value: Value, insteadOfNone none: Value
    ) throws {
        do {
            let stored = try StoredFile.read(Value.self, from: path, limit: maximumMessageBytes)
            if value == stored?.value ?? none { return }
        } catch let error as SystemError where error.isShortage {
            throw error
        } catch {
            // It is replaced.
        }
        try write(value, to: path)
    }

    /// Replaces a file. A directory in its place, or in that of the temporary file, would prevent every installation.
    private func write(_ value: some Encodable, to path: String) throws {
        do {
            try StoredFile.write(value, to: path, limit: maximumMessageBytes)
        } catch let error as SystemError {
            guard error.isDirectory else { throw error }
            try Files.removeUnlessRegular(path + ".new")
            try Files.removeUnlessRegular(path)
            try StoredFile.write(value, to: path, limit: maximumMessageBytes)
        }
    }

    /// A file of which another copy exists. If it cannot be read, the log says so, and the copy replaces it.
    ///
    /// - Parameter isRequired: whether an error of the disk is thrown, because there is no other copy.
    /// - Throws: a shortage, which says nothing about the file.
    private func read<Value: Decodable & Sendable>(
        _ type: Value.Type, _ path: String, isRequired: Bool
    ) throws -> Value? {
        do {
            return try StoredFile.read(type, from: path, limit: maximumMessageBytes)?.value
        } catch {
            if let error = error as? SystemError, error.isShortage || isRequired && error.isDiskError { throw error }
            surroundings.report(
                .output("\(path) cannot be read; the copy in \(recordPath) counts: \("\(error)".sanitized(limit: 200))")
            )
            return nil
        }
    }

    // MARK: the lowest version

    private var floorPath: String { "\(directory)/floor.json" }

    /// The floor of both stored copies, and of a commit that neither of them knows yet.
    ///
    /// - Parameter isRequired: whether an error of the disk is thrown if there is no other copy.
    func floor(_ last: InstallRecord?, isRequired: Bool = true) throws -> VersionFloor {
        let stored = try read(VersionFloor.self, floorPath, isRequired: isRequired && last == nil)
        var floor = (stored ?? VersionFloor()).merged(with: last?.floor ?? VersionFloor())
        if let committed = tree.committedFloor { floor = floor.merged(with: committed) }
        // A record of 0.1.0 has no floor, but may have a commit.
        if let last, last.result == .committed { floor = floor.merged(with: last.floorAfterCommit) }
        return floor
    }

    // MARK: the count of attempts

    private var attemptsPath: String { "\(directory)/attempts.json" }

    /// The counts of both stored copies: `attempts.json` and the installation record.
    ///
    /// - Parameter isRequired: whether an error of the disk is thrown if there is no other copy.
    func attempts(_ last: InstallRecord?, isRequired: Bool = true) throws -> InstallAttempts {
        let stored = try read(InstallAttempts.self, attemptsPath, isRequired: isRequired && last == nil)
        return (stored ?? InstallAttempts()).merged(with: last?.attempts ?? InstallAttempts())
    }

    /// - Returns: why the counts are not reset, or nil.
    func forgetAttempts(at versionCode: Int, isRoot: Bool, _ last: InstallRecord?) throws -> String? {
        var attempts = try attempts(last)
        let floor = try floor(last)
        if isRoot {
            attempts.forget(retried: versionCode)
        } else if let refusal = attempts.reset(versionCode) {
            try? storeCounts(attempts, floor)
            return refusal
        }
        try storeCounts(attempts, floor)
        if var record = last {
            record.attempts = attempts
            record.floor = floor
            try store(record)
        }
        let who = isRoot ? "root" : "the agent"
        surroundings.report(.output("the counts of versionCode \(versionCode) are reset at the request of \(who)"))
        return nil
    }
}

extension InstallRecord {
    /// The floor once this version is committed.
    var floorAfterCommit: VersionFloor {
        var floor = floor
        floor.raise(job.offer.urlKey, to: max(job.offer.versionCode, minVersionCode ?? 0))
        return floor
    }
}
