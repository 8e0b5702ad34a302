package wire

// FixNonce replaces the server's half of the nonce, for known test vectors.
func (s *ScramServer) FixNonce(nonce string) { s.nonce = []byte(nonce) }

// FixFirst replaces what First sent behind its header, and the nonce in it.
func (c *ScramClient) FixFirst(bare, nonce string) {
	c.nonce, c.authMessage = []byte(nonce), []byte(bare+",")
}

// SASLPrep gives the tests saslPrep.
func SASLPrep(password string) string { return saslPrep(password) }
