package pool

// MaxLogins bounds the logins to one member at a time.
const MaxLogins = maxLogins
