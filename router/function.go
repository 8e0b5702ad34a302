package router

import "encoding/binary"

// Functions that have their numbers in every PostgreSQL.
const (
	oidCurrval   = 1575
	oidLastval   = 2559
	oidSetseed   = 1599
	oidSetConfig = 2078
	oidNotify    = 3036

	firstOID = 16384 // of those that did not come with PostgreSQL
)

// largeObjects are the functions that libpq calls for large objects, which keep
// nothing.
var largeObjects = map[uint32]bool{
	715: true, 764: true, 767: true, 952: true, 953: true, 954: true, 955: true, 956: true, 957: true, 958: true,
	964: true, 1004: true, 3170: true, 3171: true, 3172: true,
}

// writers are the functions that write large objects, creat, create, import, put,
// truncate, unlink and write.
var writers = map[uint32]bool{
	715: true, 764: true, 767: true, 955: true, 957: true, 964: true, 1004: true, 3172: true, 3457: true, 3460: true,
}

// writesLargeObject reports whether a function call writes a large object, or is too short
// to say.
func writesLargeObject(body []byte) bool {
	return len(body) < 4 || writers[binary.BigEndian.Uint32(body)]
}

// called returns what a function call may do, whose body begins with the
// function's OID.
func called(body []byte) reading {
	r := reading{effects: acts | mayKeep | mayFree | maySet | maySetAny | movesSequence | mayNotify}
	if len(body) < 4 {
		return r
	}
	switch oid := binary.BigEndian.Uint32(body); {
	case largeObjects[oid]:
		r.effects = 0
	case oid >= firstOID:
		r.effects = acts
	case oid == oidCurrval, oid == oidLastval:
		r.effects = readsSequence
	case oid == oidSetseed:
		r.effects = leavesSeed
	case oid == oidSetConfig:
		r.effects = maySet | maySetAny | leavesSetting
	case oid == oidNotify:
		r.effects = mayNotify
	}
	return r
}
