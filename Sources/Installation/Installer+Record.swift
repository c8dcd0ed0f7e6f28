import Host
import UpdateCore

/// The record of an installation, and the count of attempts, on disk.
extension Installer {
    func load() throws -> InstallRecord? {
        do {
            guard
                let found = try StoredFile.read(InstallRecord.self, from: recordPath, limit: maximumMessageBytes)
            else { return nil }
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

    /// Sets an unreadable record aside for the operator. If the file tree still names the installation, the new record starts
    /// a rollback.
    ///
    /// - Returns: the new record; nil if there is nothing to roll back.
    private func recover(_ error: any Error) throws -> InstallRecord? {
        let line = "\(recordPath) was damaged and is set aside as \(recordPath).damaged"
        surroundings.report(.output("\(line) (\("\(error)".sanitized(limit: 200)))"))
        guard let (job, module) = tree.installation() else {
            try Files.rename(recordPath, to: recordPath + ".damaged")
            return nil
        }
        // A copy for the operator, if possible. The record itself stays until the new one replaces it: without either there
        // would be nothing to resume.
        try? Files.link(recordPath, as: recordPath + ".damaged")
        var record = InstallRecord(recovering: job, module: module, bootID: bootID)
        record.attempts = attempts(nil)
        // Counted when it began, unless that count is lost too.
        if !record.attempts.versions.contains(where: { $0.versionCode == job.offer.versionCode }) {
            record.attempts.countAttempt(at: job.offer.versionCode)
        }
        try store(record)
        return record
    }

    func store(_ record: InstallRecord) throws {
        let path = attemptsPath
        let stored = try? StoredFile.read(InstallAttempts.self, from: path, limit: maximumMessageBytes)?.value
        if record.attempts != stored ?? InstallAttempts() {
            try StoredFile.write(record.attempts, to: path, limit: maximumMessageBytes)
        }
        try StoredFile.write(record, to: recordPath, limit: maximumMessageBytes)
    }

    // MARK: the count of attempts

    private var attemptsPath: String { "\(directory)/attempts.json" }

    /// The counts of both stored copies: `attempts.json` and the installation record.
    func attempts(_ last: InstallRecord?) -> InstallAttempts {
        let stored = try? StoredFile.read(InstallAttempts.self, from: attemptsPath, limit: maximumMessageBytes)?.value
        return (stored ?? InstallAttempts()).merged(with: last?.attempts ?? InstallAttempts())
    }

    func forgetAttempts(at versionCode: Int, _ last: InstallRecord?) throws {
        var attempts = attempts(last)
        attempts.forget { $0 == versionCode }
        try StoredFile.write(attempts, to: attemptsPath, limit: maximumMessageBytes)
        guard var record = last else { return }
        record.attempts = attempts
        try store(record)
    }
}
