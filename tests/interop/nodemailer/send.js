// Sends one message as the settings on standard input say, and prints what the server answered.
'use strict'

const nodemailer = require(process.argv[2])

let text = ''
process.stdin.on('data', (piece) => (text += piece))
process.stdin.on('end', async () => {
  const { transport, message } = JSON.parse(text)
  try {
    const sent = await nodemailer.createTransport(transport).sendMail(message)
    console.log(sent.response)
  } catch (error) {
    console.log(error.response || error.message)
    process.exitCode = 1
  }
})
