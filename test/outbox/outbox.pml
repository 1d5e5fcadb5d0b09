/* Two workers of an outbox and one message: locks that expire at any time, workers that die at any time, connections that
   are lost at any time. A worker that is not scheduled for long is one that is frozen.

   TICKET 0: no ticket, a queue that tries again, for comparison.
   POLICY 0: hold. 1: retry. 2: ask, with a callback that finds out the truth.
   SETTLE 1: "retry" and "ask" replace the ticket of an attempt only once it is dead; 0: at any time. */
#ifndef TICKET
#define TICKET 1
#endif
#ifndef POLICY
#define POLICY 0
#endif
#ifndef SETTLE
#define SETTLE 1
#endif
#ifndef TRIES
#define TRIES 3
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#define HOLD  0
#define RETRY 1
#define ASK   2
#define NO_ANSWER 0
#define DELIVERED 1
#define UNKNOWN   2

byte copies = 0;            /* how often the server took the message */
byte replaced = 0;          /* how often a policy replaced a ticket */
byte lock = 0;              /* the worker that has the job; 0: none */
byte token = 0;             /* the attempt that has the ticket; 0: none */
byte owner = 0;             /* the worker that made that attempt */
byte answer = NO_ANSWER;    /* what the ticket says */
byte attempts = 0;
byte crashes = 0;
byte finished = 0;
bool done = false;          /* the queue has the message no more */
bool dead[3] = false;

inline release() { if :: lock == me -> lock = 0 :: else fi }
inline die()     { dead[me] = true; goto end }

proctype worker(byte me) {
  byte mine = 0;            /* the token of this attempt */
  byte over = 0;            /* the token that it may replace */
  byte tries = 0;
  do
  :: done || tries == TRIES -> break
  :: atomic { !done && lock == 0 && tries < TRIES -> lock = me; tries++; attempts++; mine = attempts; over = 0 };

     /* Reads the ticket. */
     if
     :: !TICKET || token == 0 -> skip
     :: TICKET && token != 0 && answer == DELIVERED -> goto conclude
     :: TICKET && token != 0 && answer != DELIVERED ->
        atomic {
          if
          :: POLICY == HOLD -> release(); goto again
          :: POLICY != HOLD && SETTLE && answer == NO_ANSWER && !dead[owner] -> release(); goto again
          :: POLICY == RETRY && (!SETTLE || answer == UNKNOWN || dead[owner]) -> over = token
          :: POLICY == ASK && (!SETTLE || answer == UNKNOWN || dead[owner]) ->
             if
             :: copies == 0 -> over = token
             :: else -> answer = DELIVERED; goto conclude
             fi
          :: else -> release(); goto again              /* the answer came meanwhile */
          fi
        }
     fi;

     /* MAIL, RCPT, DATA and the content: dies, fails, or goes on. */
     if
     :: crashes < CRASHES -> crashes++; die()
     :: atomic { release(); goto again }
     :: skip
     fi;

     /* Takes the ticket, as the last step of the body. */
     atomic {
       if
       :: !TICKET -> skip
       :: TICKET && token == 0 -> token = mine; owner = me; answer = NO_ANSWER
       :: TICKET && token != 0 && token == over && answer != DELIVERED ->
          token = mine; owner = me; answer = NO_ANSWER; replaced++
       :: TICKET && token != 0 && (token != over || answer == DELIVERED) -> release(); goto again
       fi
     };
     if :: crashes < CRASHES -> crashes++; die() :: skip fi;

     /* The end of the message leaves. */
     if
     :: copies++                                             /* the server takes it … */
        if
        :: skip                                              /* … and its reply arrives, perhaps late */
        :: goto lost                                         /* … and the connection dies */
        :: crashes < CRASHES -> crashes++; die()
        fi
     :: goto lost                                            /* the connection dies first */
     :: if :: crashes < CRASHES -> crashes++; die() :: skip fi;    /* 4yz: certainly not taken */
        atomic { if :: TICKET && token == mine -> token = 0; answer = NO_ANSWER :: else fi };
        atomic { release(); goto again }
     fi;

     /* Writes the reply into the ticket. */
     if :: crashes < CRASHES -> crashes++; die() :: skip fi;
     atomic { if :: TICKET && token == mine -> answer = DELIVERED :: else fi };
     if :: crashes < CRASHES -> crashes++; die() :: skip fi;

conclude:
     /* Ends the job, if it is still this worker's. */
     atomic {
       assert(copies >= 1);
       if :: lock == me -> done = true; lock = 0 :: else fi
     };
     goto again;

lost:
     atomic { if :: TICKET && token == mine -> answer = UNKNOWN :: else fi };
     atomic { release() };
again:
     skip
  od;
end:
  finished++
}

/* Locks expire, those of dead workers always. */
proctype expiry() {
  byte times = 0;
  do
  :: finished == 2 -> break
  :: atomic { lock != 0 && (times < 3 || dead[lock]) -> if :: dead[lock] -> skip :: else -> times++ fi; lock = 0 }
  od
}

init {
  atomic { run worker(1); run worker(2); run expiry() };
  finished == 2 && _nr_pr == 1;
  /* One more worker, which nothing happens to. */
  if
  :: done -> skip
  :: !done && TICKET && token != 0 && answer == DELIVERED -> assert(copies >= 1); done = true   /* the late answer */
  :: !done && (!TICKET || token == 0) -> copies++; done = true
  :: else -> skip                                                                                /* held */
  fi;
  /* Nothing is lost: it is delivered, or a ticket holds it. */
  assert(done || (TICKET && token != 0));
  assert(!done || copies >= 1);
  /* Nothing is doubled but what the policy says. */
  if
  :: POLICY == RETRY -> assert(copies <= 1 + replaced)
  :: POLICY != RETRY -> assert(copies <= 1)
  fi
}
