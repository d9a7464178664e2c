//! The slot swap of a live update: two processes go on under each other's endpoints.
