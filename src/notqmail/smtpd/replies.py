"""Every fixed sentence of a session in one table, each with its enhanced code (RFC 2034, RFC 3463).

What is said about content is in smtp/content: other doors say it too.
"""

from notqmail.mail.reply import Reply

OK = Reply(250, "2.0.0", "ok")
RESET = Reply(250, "2.0.0", "reset")
SENDER_OK = Reply(250, "2.1.0", "sender ok")
RECIPIENT_OK = Reply(250, "2.1.5", "recipient ok")
START = Reply(354, "", "send the message; end with <CRLF>.<CRLF>")
BYE = Reply(221, "2.0.0", "bye")
HELP = Reply(214, "2.0.0", "RFC 5321; commands: EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT")
VERIFY = Reply(252, "2.1.5", "cannot say without a transaction; send MAIL and RCPT")

START_TLS = Reply(220, "2.0.0", "begin TLS now")
LOGGED_IN = Reply(235, "2.7.0", "logged in")

EXPAND = Reply(502, "5.5.1", "EXPN is not available")
UNKNOWN = Reply(500, "5.5.1", "unknown command")
NOT_LMTP = Reply(502, "5.5.1", "this is not an LMTP service: say EHLO")
LINE_TOO_LONG = Reply(500, "5.5.2", "command line too long")
BAD_ENDING = Reply(500, "5.5.2", "a command line ends in CRLF; it has a bare CR or LF")
HELLO_FIRST = Reply(503, "5.5.1", "say EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "send MAIL first")
FINISH_FIRST = MAIL_NESTED = Reply(503, "5.5.1", "a transaction is open: finish it or send RSET")
RCPT_FIRST = Reply(503, "5.5.1", "send RCPT first")
NO_RECIPIENTS = Reply(554, "5.5.1", "no valid recipients")
FINISH_CHUNKS = Reply(503, "5.5.1", "the message was begun with BDAT: finish it with BDAT LAST")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients; send the rest in another message")
NEED_UTF8 = Reply(553, "5.6.7", "this address needs SMTPUTF8 on MAIL")

TLS_ALREADY = Reply(503, "5.5.1", "TLS is on already")
NO_TLS = Reply(502, "5.5.1", "STARTTLS is not available here")
NO_VOUCHING = Reply(501, "5.5.4", "nobody logs in here, LOGIN means nothing")
NO_LOGIN = Reply(502, "5.5.1", "nobody logs in here; use port 465 or 587")
LOGIN_ALREADY = Reply(503, "5.5.1", "you are logged in already")
NO_MECHANISM = Reply(504, "5.5.4", "this mechanism is not offered here")
LOGIN_MALFORMED = Reply(501, "5.5.2", "this response cannot be read; the login has ended")
LOGIN_CANCELLED = Reply(501, "5.0.0", "the login was cancelled")
LOGIN_LINE_TOO_LONG = Reply(500, "5.5.6", "the line is too long; the login has ended")
LOGIN_WRONG = Reply(535, "5.7.8", "name or password is wrong")
LOGIN_UNAVAILABLE = Reply(454, "4.7.0", "logins cannot be checked now; try again later")

TRY_LATER = Reply(451, "4.3.0", "an error on our side; try again later")

TIMEOUT = Reply(421, "4.4.2", "too long without progress; closing")
BROKEN = Reply(421, "4.3.0", "an error on our side; try again later")
STOPPING = Reply(421, "4.3.2", "the service is stopping; try again later")
TOO_MANY_LOGINS = Reply(421, "4.7.0", "too many failed logins; closing")
LOGINS_AWAY = Reply(421, "4.7.0", "logins cannot be checked now; closing, try again later")
TOO_MANY_HANDSHAKES = Reply(421, "4.7.0", "too many TLS handshakes at once; try again later")
BANNED = Reply(421, "4.7.0", "too many failed logins from your network; try again later")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "too many errors; closing")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "too many commands that move no mail; closing")
TOO_MANY_MESSAGES = Reply(421, "4.5.3", "enough messages in one session; open another")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "too many connections; try again later")
TOO_MANY_FROM_YOU = Reply(421, "4.7.0", "too many connections from your address; close one first")
