// What Engine::Read takes of a request, as bytes: of one state, requests with
// the same bytes have the same reading, bit for bit.
//
// The request's time is in it as one bucket only, that of the gap to the user's
// newest event (docs/model.md sections 2 and 4): nothing else of a reading
// depends on when it is made.
//
// Thread-safe: a pure function.
#ifndef QLARANK_MODEL_READING_INPUTS_H_
#define QLARANK_MODEL_READING_INPUTS_H_

#include <string>

#include "model/engine.h"
#include "model/user_state.h"

namespace qlarank {

// To be compared whole. Requests of different models are not to be told apart
// by it, nor different states.
std::string ReadingInputs(const UserState& state, const RequestView& request);

}  // namespace qlarank

#endif  // QLARANK_MODEL_READING_INPUTS_H_
