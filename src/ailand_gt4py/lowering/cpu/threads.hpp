// The threads that share the blocks of a program.
//
// A parallel region of OpenMP ends when all of its threads have come to its end, and one that another process has pushed
// from its core comes late: on a shared machine a step of fifty microseconds then takes milliseconds. Here the caller
// works, too, and waits for blocks, not for threads: whoever is awake takes the next block, and who is not is not missed.
// How many threads there are is still OpenMP's to say (OMP_NUM_THREADS, omp_set_num_threads).
//
// A forked process has none of its parent's threads, and what these were doing stays undone in it: it makes a pool of its
// own, and leaves the old one as it is, whose threads can be neither joined nor detached.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>
#include <dlfcn.h>
#include <pthread.h>

namespace ailand {

namespace {
// Keeps the library that this stands in loaded until the process ends, whoever closes it.
inline void keep_library() {
    static const char here = 0;
    Dl_info found;
    if (dladdr(&here, &found) && found.dli_fname) dlopen(found.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}
}  // namespace

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

class Pool {
  public:
    // Ends the threads, if no job is being done; later jobs are their callers' alone.
    void stop() {
        std::unique_lock<std::mutex> turn(mutex_, std::try_to_lock);
        if (!turn) return;
        stopped_ = true;
        open_.fetch_add(generation);
        open_.notify_all();
        for (auto& worker : workers_) worker.join();
        workers_.clear();
    }

    // call(work, block) for every block, by the caller and up to `threads - 1` others. One block alone may share out parts
    // of its own.
    void run(long blocks, int threads, void (*call)(void*, long), void* work) {
        // Another thread of the host may run a program: as long as it does, the threads are its.
        std::unique_lock<std::mutex> turn(mutex_, std::defer_lock);
        while (blocks > 0 && (threads < 2 || blocks < 2 || !turn.try_lock())) call(work, --blocks);
        if (stopped_)
            while (blocks > 0) call(work, --blocks);
        if (blocks == 0) return;
        prepare((int)std::min<long>(threads, blocks) - 1);
        call_ = call;
        work_ = work;
        finished_.store(0, std::memory_order_relaxed);
        const std::uint64_t next = (open_.load(std::memory_order_relaxed) / generation + 1) * generation;
        open_.store(next + (std::uint64_t)blocks, std::memory_order_release);
        open_.notify_all();
        while (take()) {}
        for (long spins = 0; finished_.load(std::memory_order_acquire) < blocks; ++spins)
            if (spins < 10000) relax();
            else std::this_thread::yield();
    }

  private:
    // In `open_`: the number of blocks that nobody has taken, and above it the number of the job, so that a thread that
    // comes late cannot take a block of another job than it thinks.
    static constexpr std::uint64_t generation = std::uint64_t(1) << 32;

    // A block is the taker's until it is counted as finished; until then the job cannot end, and what it is stays.
    bool take() {
        std::uint64_t seen = open_.load(std::memory_order_acquire);
        while (seen % generation > 0) {
            if (open_.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) {
                call_(work_, (long)(seen % generation) - 1);
                finished_.fetch_add(1, std::memory_order_release);
                return true;
            }
        }
        return false;
    }

    void serve(int index) {
        // Awake for a while after work: the next step may come soon, and waking up costs more than a small step.
        constexpr auto awake = std::chrono::microseconds(100);
        auto rested = std::chrono::steady_clock::now();
        for (;;) {
            const std::uint64_t seen = open_.load(std::memory_order_acquire);
            if (stopped_.load(std::memory_order_relaxed)) return;
            if (index < helpers_.load(std::memory_order_relaxed) && take()) {
                while (take()) {}
                rested = std::chrono::steady_clock::now();
            } else if (std::chrono::steady_clock::now() - rested < awake) {
                for (int i = 0; i < 16; ++i) relax();
            } else if (seen % generation == 0 || index >= helpers_.load(std::memory_order_relaxed)) {
                open_.wait(seen, std::memory_order_acquire);
                rested = std::chrono::steady_clock::now();
            }
        }
    }

    void prepare(int helpers) {
        helpers_.store(helpers, std::memory_order_relaxed);
        // What the threads do stands in the library of the program that first needs them.
        if ((int)workers_.size() < std::min(helpers, most_)) keep_library();
        while ((int)workers_.size() < std::min(helpers, most_)) {
            const int index = (int)workers_.size();
            try {
                workers_.emplace_back([this, index] { serve(index); });
            } catch (const std::exception& error) {
                most_ = index;
                std::fprintf(stderr, "ailand_gt4py: found %d threads (%s), expected %d: goes on with these\n", index + 1,
                             error.what(), helpers + 1);
            }
        }
    }

    std::mutex mutex_;
    std::vector<std::thread> workers_;
    int most_ = 1 << 20;  // until no more can be made
    std::atomic<bool> stopped_ = false;
    std::atomic<int> helpers_ = 0;
    void (*call_)(void*, long) = nullptr;
    void* work_ = nullptr;
    alignas(64) std::atomic<std::uint64_t> open_ = 0;
    alignas(64) std::atomic<long> finished_ = 0;
};

// The pool of this process.
class OfProcess {
  public:
    OfProcess() { pthread_atfork(nullptr, nullptr, [] { pool_ = nullptr; }); }
    ~OfProcess() {
        if (Pool* const pool = pool_) pool->stop();
    }
    Pool& pool() {
        Pool* found = pool_;
        if (!found) {
            Pool* const made = new Pool;  // stays: a thread may use it until the process ends
            if (pool_.compare_exchange_strong(found, made)) return *made;
            delete made;
        }
        return *found;
    }

  private:
    static inline std::atomic<Pool*> pool_ = nullptr;
};
inline OfProcess of_process;

// work(block) for every block, shared by so many threads.
template <class Work> void share(long blocks, int threads, Work work) {
    of_process.pool().run(blocks, threads, [](void* what, long block) { (*static_cast<Work*>(what))(block); }, &work);
}

}  // namespace ailand
