/** All words of the pages, in each language. What a program reads (the JSON of errors, the log) is English and not here. */
import { parseAccept } from "../http/accept.js";

const EN = {
  lang: "en",
  page: {
    tagline: "A chat room in your browser. Nothing to install.",
    yourName: "Your name",
    nameNote: "Shown next to your messages.",
    inside: "You are logged in as {name}.",
    enter: "Join the room",
    toForm: "Skip to message box",
    logOut: "Log out",
    people: "People here",
    log: "Conversation",
    message: "Message",
    send: "Send",
    renewing: "Without scripts, this page refreshes every 20 seconds. Times are UTC.",
    still: "Refresh is paused until you send a message. Times are UTC.",
    renew: "Refresh now",
    stop: "Pause refresh",
    past: "These are earlier messages. Times are UTC.",
    newest: "Newest messages",
    back: "Back to the room",
  },
  script: {
    joined: "{name} joined",
    left: "{name} left",
    gap: "Some messages are missing here: you were away for longer than they are kept.",
    earlier: "Earlier messages",
    noEarlier: "No earlier messages are kept.",
    loading: "Loading…",
    earlierFailed: "Earlier messages could not be loaded.",
    tryAgain: "Try again",
    newHere: "New messages",
    here: "{n} here",
    more: "and {n} more",
    you: "(you)",
    connecting: "Connecting…",
    live: "Connected",
    lost: "Connection lost. Trying again…",
    offline: "You are offline.",
    restarting: "The server is restarting…",
    superseded: "This conversation is open in another window.",
    no_session: "You are logged out.",
    not_you: "You are logged in as {name} now.",
    refused: "The server has ended the connection.",
    logIn: "Log in again",
    reload: "Reload",
    failed: "Live updates failed to start.",
    newMessage: "1 new message",
    newMessages: "{n} new messages",
    sending: "Sending…",
    again: "Send again",
    drop: "Delete",
    hint: "Enter sends, Shift+Enter makes a new line",
    tooLong: "A message has at most 2,000 characters; this one has {n}.",
    invite: "No messages yet. Share this address to invite people:",
    copy: "Copy",
    copied: "Copied",
  },
  errors: {
    bad_request: "The server did not understand this request.",
    bad_cursor: "This place in the conversation was not found.",
    bad_name: "Use 1–32 characters, no slashes or invisible characters.",
    bad_message: "A message has 1 to 2,000 characters and no control characters.",
    key_reused: "This form was already used for another message. Nothing was sent.",
    name_taken: "That name is taken. Choose another, or try again in 30 seconds.",
    cookies_blocked: "Your browser blocks cookies. Allow them for this site, then open this page again.",
    no_session: "You are not logged in.",
    no_host_session: "Log in to this site first, then come back.",
    not_you: "You are logged in under another name.",
    foreign_origin: "This request came from another site and was ignored.",
    not_found: "Page not found.",
    method_not_allowed: "This address does not support that action.",
    too_large: "That is too long to send.",
    unsupported_type: "The server does not accept this type of content.",
    slow_down: "Too many requests. Wait a few seconds, then try again.",
    too_many_waiters: "The room is full. Try again soon.",
    store_unavailable: "Messages cannot be saved right now. Nothing was sent. Try again soon.",
    draining: "The server is restarting. Try again in a moment.",
    not_sent: "Not sent.",
    unreachable: "Not sent. The server cannot be reached.",
    internal: "Something went wrong on our side. Try again soon.",
  },
};

/**
 * The words of one language: its tag for `lang`, the values of the templates, the words of the script, and, by the
 * protocol's code, what went wrong and what to do. `{n}` stands for a number, `{name}` for a person.
 */
export interface Strings {
  readonly lang: string;
  readonly page: Readonly<Record<keyof typeof EN.page, string>>;
  readonly script: Readonly<Record<keyof typeof EN.script, string>>;
  readonly errors: Readonly<Record<string, string>>;
}

const ZH: Strings = {
  lang: "zh-CN",
  page: {
    tagline: "打开浏览器就能聊，无需安装。",
    yourName: "你的名字",
    nameNote: "显示在你的消息旁边。",
    inside: "你已以“{name}”的身份登录。",
    enter: "加入聊天室",
    toForm: "跳到消息输入框",
    logOut: "退出",
    people: "在线的人",
    log: "聊天记录",
    message: "消息",
    send: "发送",
    renewing: "脚本未启用，页面每 20 秒自动刷新一次。时间为协调世界时。",
    still: "自动刷新已暂停，发送消息后恢复。时间为协调世界时。",
    renew: "立即刷新",
    stop: "暂停刷新",
    past: "这些是较早的消息。时间为协调世界时。",
    newest: "最新消息",
    back: "返回聊天室",
  },
  script: {
    joined: "{name} 来了",
    left: "{name} 离开了",
    gap: "这里缺了一些消息：你离开得太久，它们已不再保留。",
    earlier: "更早的消息",
    noEarlier: "没有保留更早的消息。",
    loading: "正在加载…",
    earlierFailed: "无法加载更早的消息。",
    tryAgain: "重试",
    newHere: "新消息",
    here: "{n} 人在线",
    more: "还有 {n} 人",
    you: "（你）",
    connecting: "正在连接…",
    live: "已连接",
    lost: "连接已断开，正在重试…",
    offline: "你已离线。",
    restarting: "服务器正在重启…",
    superseded: "此对话已在另一个窗口中打开。",
    no_session: "你已退出登录。",
    not_you: "你现在以“{name}”的身份登录。",
    refused: "服务器结束了连接。",
    logIn: "重新登录",
    reload: "重新加载",
    failed: "实时更新未能启动。",
    newMessage: "1 条新消息",
    newMessages: "{n} 条新消息",
    sending: "发送中…",
    again: "重新发送",
    drop: "删除",
    hint: "回车发送，Shift+回车换行",
    tooLong: "一条消息最多 2,000 个字符，这条有 {n} 个。",
    invite: "还没有消息。分享这个地址，邀请大家加入：",
    copy: "复制",
    copied: "已复制",
  },
  errors: {
    bad_request: "服务器无法理解这个请求。",
    bad_cursor: "聊天记录里没有这个位置。",
    bad_name: "请使用 1–32 个字符，不能含斜杠或不可见字符。",
    bad_message: "消息需为 1 到 2,000 个字符，且不含控制字符。",
    key_reused: "这个表单已用于另一条消息，内容没有发送。",
    name_taken: "这个名字已有人使用。请换一个，或 30 秒后再试。",
    cookies_blocked: "浏览器阻止了 Cookie。请允许本网站使用 Cookie，然后重新打开此页面。",
    no_session: "你还没有登录。",
    no_host_session: "请先在本网站登录，然后再回来。",
    not_you: "你登录的是另一个名字。",
    foreign_origin: "这个请求来自其他网站，已被忽略。",
    not_found: "找不到页面。",
    method_not_allowed: "此地址不支持该操作。",
    too_large: "内容太长，无法发送。",
    unsupported_type: "服务器不接受这种类型的内容。",
    slow_down: "操作太频繁，请等几秒再试。",
    too_many_waiters: "聊天室满了，请稍后再试。",
    store_unavailable: "消息暂时无法保存，内容没有发送，请稍后再试。",
    draining: "服务器正在重启，请稍等再试。",
    not_sent: "未发送。",
    unreachable: "未发送：无法连接服务器。",
    internal: "我们这边出了点问题，请稍后再试。",
  },
};

/**
 * Returns the words for an `Accept-Language` header, English by default. Every Chinese gets Simplified: most readers of
 * Traditional prefer it to English.
 */
export function stringsFor(acceptLanguage = ""): Strings {
  let chosen: Strings = EN;
  let most = 0;
  for (const { value, q } of parseAccept(acceptLanguage)) {
    const known = [EN, ZH].find(({ lang }) => value.split("-")[0] === lang.split("-")[0]);
    // The first of two with the same weight.
    if (!known || !(q > most)) continue;
    chosen = known;
    most = q;
  }
  return chosen;
}
