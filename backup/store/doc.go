// Package store keeps objects: bytes under a key, compressed, encrypted, and whole
// or not there at all.
//
// The life of an object, in the order of the files:
//
//   - store.go: Store is the contract that every driver keeps, the package's one
//     interface. storetest tests a driver against it, sentence by sentence. key.go
//     says which keys and metadata there are.
//   - seal.go: a Sealer makes an object of a plaintext, whole or as a stream: zstd
//     (compress.go), then age for the recipients' public keys, then a trailer with
//     the SHA-256 of what came in and of what went out. So the one who writes cannot
//     read.
//   - retry.go, retrystream.go: Retry stands between the caller and a driver, and
//     tries again what failed, so often and no more. In front of it limit.go keeps
//     to a bandwidth; behind it meter.go counts calls, bytes and errors.
//   - dirput.go: Dir, the driver for a local directory, writes a temporary file and
//     syncs it, gives it its name in one step, and syncs the folders. What a
//     crash leaves is a temporary file, which OpenDir (dir.go) removes later.
//   - dirfile.go: what the file of an object looks like; dirlist.go: lists of them.
//   - s3put.go, s3stream.go: S3, the driver for a bucket, puts an object with one
//     request, or a stream in parts that the server makes one object of at the end.
//     What a crash leaves is an upload that nobody sees, which OpenS3 (s3.go)
//     aborts a day later. s3config.go reads its URL, s3get.go and s3list.go read
//     from it, s3error.go says what its answers mean.
//   - unseal.go: Verify reads an object and compares it with its trailer, without a
//     key. Open needs one, and its reader says io.EOF only when all was checked.
//   - dir.go: Delete removes the object, and the folders that are empty then.
//
// plain.go: what must be read without a key is not sealed, and has its SHA-256 in its
// metadata.
//
// probe.go tries at start whether a store keeps the one promise that commits rest
// on, PutIfAbsent, since some S3 servers do not.
//
// A sealed object can be read without this program: its first N-80 bytes, of the N
// of the object, are for age -d and then zstd -d. In a Dir, "size" at the end of
// the file is N, and the object is the first N bytes.
//
// Sealing keeps what is stored from those who can read the store. It does not
// hide how long a plaintext is or whether it is one they can guess, since its sum
// is there to be read; nor does it show who wrote an object, since recipients are
// public: who can write to the store can put another object in the place of one.
package store
