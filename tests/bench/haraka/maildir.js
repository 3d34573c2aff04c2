'use strict'
// Delivers to Maildirs, and relays everything else to one host. measured.json says for whom and where:
// {"domain": "…", "users": ["…"], "mail": "/directory/of/maildirs", "relay": {"exchange": "127.0.0.2", "port": 25}}
// As Haraka's own queue does, it fsyncs each file before it is renamed to where it is found.

const fs = require('node:fs/promises')
const path = require('node:path')
const { FsyncWriteStream } = require('haraka-utils')

exports.register = function () {
    this.place = this.config.get('measured.json')
    this.users = new Set(this.place.users)
    this.made = new Set()
}

exports.hook_connect = function (next, connection) {
    connection.relaying = true // it listens on loopback only
    next()
}

exports.hook_rcpt = function (next, connection, [rcpt]) {
    const { rcpt_to } = connection.transaction
    if (rcpt_to.length && this.local(rcpt_to[0]) !== this.local(rcpt)) {
        return next(DENYSOFT, 'not with the recipients before')
    }
    if (this.local(rcpt) ? this.users.has(rcpt.user) : this.place.relay) return next(OK)
    next(DENY, 'no such user')
}

// a connection that may relay asks here even when its message is ours
exports.hook_queue_outbound = async function (next, connection) {
    const { message_stream, rcpt_to, uuid } = connection.transaction
    if (!this.local(rcpt_to[0])) return next()
    try {
        for (const rcpt of rcpt_to) await this.deliver(message_stream, rcpt.user, uuid)
    } catch (error) {
        connection.logerror(this, error.message)
        return next(DENYSOFT, 'not delivered')
    }
    next(OK)
}

exports.hook_get_mx = function (next) {
    next(OK, this.place.relay)
}

exports.local = function (address) {
    return address.host === this.place.domain
}

exports.deliver = async function (message, user, name) {
    const maildir = path.join(this.place.mail, user)
    if (!this.made.has(user)) {
        for (const part of ['tmp', 'new', 'cur']) {
            await fs.mkdir(path.join(maildir, part), { recursive: true })
        }
        this.made.add(user)
    }
    const written = path.join(maildir, 'tmp', name)
    const file = new FsyncWriteStream(written, { flags: 'wx' })
    await new Promise((resolve, reject) => {
        file.once('close', resolve)
        file.once('error', reject)
        message.pipe(file, { line_endings: '\n' })
    })
    await fs.rename(written, path.join(maildir, 'new', name))
}
